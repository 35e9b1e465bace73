/** Lets one loop sleep until it is signalled or a time has passed. A signal before the wait ends it at once. */
export class Wake {
  #signalled = false
  #resume: (() => void) | undefined

  signal(): void {
    this.#signalled = true
    this.#resume?.()
  }

  /** Resolves to whether it was signalled. */
  async wait(milliseconds: number): Promise<boolean> {
    if (!this.#signalled) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds)
        timer.unref()
        this.#resume = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#resume = undefined
    }
    const signalled = this.#signalled
    this.#signalled = false
    return signalled
  }
}
