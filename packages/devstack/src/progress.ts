/** Told of each step while servers come up: once when it begins and once when it has ended. */
export interface Progress {
  begin(step: string): ProgressStep
}

export interface ProgressStep {
  /** What the step is doing now, for a terminal that can show it. */
  update(detail: string): void
  done(detail?: string): void
  failed(): void
}

/** Says nothing; for tests. */
export const silentProgress: Progress = {
  begin: () => ({ update: () => undefined, done: () => undefined, failed: () => undefined }),
}

/** Runs one step and reports its end, good or bad. */
export async function runStep<T>(
  progress: Progress,
  name: string,
  work: (step: ProgressStep) => Promise<T>,
  detail?: (result: T) => string,
): Promise<T> {
  const step = progress.begin(name)
  try {
    const result = await work(step)
    step.done(detail?.(result))
    return result
  } catch (error) {
    step.failed()
    throw error
  }
}
