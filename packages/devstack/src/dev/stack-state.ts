import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** What scripts and tests need to use a running stack. */
export interface StackState {
  readonly urls: { readonly edge: string; readonly mailbox: string; readonly docs: string }
  readonly accounts: Readonly<Record<'admin' | 'manager' | 'customer', StackAccount>>
  readonly pid: number
}

export interface StackAccount {
  readonly email: string
  readonly password: string
  readonly totpSecret?: string
}

/** What people sign in with, a line an account. */
export function accountLines(accounts: StackState['accounts']): string[] {
  return Object.entries(accounts).map(([name, { email, password, totpSecret }]) => {
    const app = totpSecret === undefined ? '' : `   authenticator app ${totpSecret}`
    return `  ${name.padEnd(10)} ${email.padEnd(22)} ${password}${app}`
  })
}

/** Writes the file whole or not at all. */
export function writeStackState(file: string, state: StackState): void {
  mkdirSync(dirname(file), { recursive: true })
  const draft = `${file}.draft`
  writeFileSync(draft, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(draft, file)
}

export function removeStackState(file: string): void {
  rmSync(file, { force: true })
}
