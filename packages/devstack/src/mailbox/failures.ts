/** A reply the SMTP side gives instead of taking a mail, with this probability in percent. */
interface Trigger {
  ErrorCode: number
  Probability: number
}

export type Stage = 'Authentication' | 'Recipient' | 'Sender'

const STAGES: readonly Stage[] = ['Authentication', 'Recipient', 'Sender']

/** Failures on request, as Mailpit's `/api/v1/chaos` sets them: how a refusing mail server is tried out. */
export class Failures {
  #triggers: Record<Stage, Trigger> = calm()

  /** Replaces the settings; stages that are left out fail no more. Throws a RangeError for a code that SMTP lacks. */
  set(settings: Readonly<Partial<Record<Stage, Partial<Trigger>>>>): void {
    const triggers = calm()
    for (const stage of STAGES) {
      const { ErrorCode = 451, Probability = 0 } = settings[stage] ?? {}
      if (!isBetween(ErrorCode, 400, 599)) throw new RangeError(`${stage}: an error code is between 400 and 599`)
      if (!isBetween(Probability, 0, 100)) throw new RangeError(`${stage}: a probability is between 0 and 100`)
      triggers[stage] = { ErrorCode, Probability }
    }
    this.#triggers = triggers
  }

  get settings(): Readonly<Record<Stage, Trigger>> {
    return this.#triggers
  }

  /** The error the SMTP server answers at this stage, when it is to fail now. */
  at(stage: Stage): Error | undefined {
    const { ErrorCode, Probability } = this.#triggers[stage]
    if (Math.random() * 100 >= Probability) return undefined
    return Object.assign(new Error(`${stage} refused, as asked for`), { responseCode: ErrorCode })
  }
}

function calm(): Record<Stage, Trigger> {
  return {
    Authentication: { ErrorCode: 451, Probability: 0 },
    Recipient: { ErrorCode: 451, Probability: 0 },
    Sender: { ErrorCode: 451, Probability: 0 },
  }
}

function isBetween(value: number, low: number, high: number): boolean {
  return Number.isInteger(value) && value >= low && value <= high
}
