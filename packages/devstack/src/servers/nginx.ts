import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Child } from '../child.ts'
import { nginxBinary } from '../fetch/nginx-binary.ts'
import type { ProgressStep } from '../progress.ts'

export interface NginxOptions {
  /** The folder every relative path of the configuration is relative to; its `run` folder is made. */
  readonly directory: string
  /** The configuration, absolute or relative to the folder. */
  readonly configurationFile: string
  /** The URL that answers, with any status, once nginx serves. */
  readonly url: string
  readonly logFile?: string
  readonly step?: ProgressStep
}

/** A running nginx. */
export interface NginxServer extends AsyncDisposable {
  readonly child: Child
  readonly url: string
  /** Makes nginx read its configuration again; running requests end undisturbed. */
  reload(): void
}

/** Starts nginx as an unprivileged process of its own. Throws ServerStartError. */
export async function startNginx(options: NginxOptions): Promise<NginxServer> {
  const { directory, configurationFile, url, step } = options
  const program = await nginxBinary(step)
  mkdirSync(join(directory, 'run'), { recursive: true })
  step?.update('starting')
  const child = await Child.start({
    name: 'nginx',
    command: program.path,
    arguments: ['-p', directory, '-c', configurationFile, '-e', 'stderr', '-g', `daemon off;${keepUser()}`],
    environment: program.environment,
    directory,
    logFile: options.logFile ?? join(directory, 'nginx.log'),
    stopSignal: 'SIGTERM',
    isReady: async (signal) => {
      const response = await fetch(url, { signal, redirect: 'manual' })
      await response.body?.cancel()
      return true
    },
  })
  return {
    child,
    url,
    reload: () => {
      if (child.pid !== undefined) process.kill(child.pid, 'SIGHUP')
    },
    [Symbol.asyncDispose]: () => child.stop(),
  }
}

/** Started by root, nginx's workers would run as nobody, who may not reach a folder below a private home. */
function keepUser(): string {
  return process.getuid?.() === 0 ? ' user root;' : ''
}
