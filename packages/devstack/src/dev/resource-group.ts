/** Things that are stopped at the same time. */
export class ResourceGroup implements AsyncDisposable {
  readonly #members: (Disposable | AsyncDisposable)[] = []

  use<T extends Disposable | AsyncDisposable>(member: T): T {
    this.#members.push(member)
    return member
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(
      this.#members.splice(0).map(async (member) => {
        if (Symbol.asyncDispose in member) await member[Symbol.asyncDispose]()
        else member[Symbol.dispose]()
      }),
    )
  }
}
