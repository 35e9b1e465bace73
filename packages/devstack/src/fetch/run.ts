import { spawn } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface RunOptions {
  readonly directory?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
  /** The user and group the program runs as; only root may set it. */
  readonly userId?: number
}

const RUN_TIMEOUT_MS = 120_000
const OUTPUT_LINES_SHOWN = 6

/** Runs a program to its end and answers what it printed. Throws with its last lines when it fails. */
export async function run(command: string, arguments_: readonly string[], options: RunOptions = {}): Promise<string> {
  const child = spawn(command, arguments_, {
    cwd: options.directory,
    env: { ...process.env, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? RUN_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    ...(options.userId === undefined ? {} : { uid: options.userId, gid: options.userId }),
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) {
    const lines = output.trim().split('\n').slice(-OUTPUT_LINES_SHOWN).join(' | ')
    throw new Error(`${command} ${arguments_[0] ?? ''} failed${code === null ? ' (timed out)' : ''}: ${lines}`)
  }
  return output
}

/** The full path of a program on PATH or in the folders where system programs live; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return folders
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
