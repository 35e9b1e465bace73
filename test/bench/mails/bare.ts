import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('bare-main.ts', import.meta.url))
/** As many as a courier has. */
export const CONNECTIONS = 10

export interface BareJob {
  readonly url: string
  readonly mails: number
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** Sends the same mail again and again through nodemailer's pool, from a process of its own. */
export async function sendBare(job: BareJob): Promise<void> {
  const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
  await once(child, 'message')
  child.send(job)
  await once(child, 'message')
  child.kill()
}
