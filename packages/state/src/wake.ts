/** Lets one loop sleep until it is signalled or a time has passed. A signal before the wait ends it at once. */
export class Wake {
  #signalled = false
  #resume: (() => void) | undefined

  signal(): void {
    this.#signalled = true
    this.#resume?.()
  }

  async wait(milliseconds: number): Promise<void> {
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
    this.#signalled = false
  }
}
