import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import { onTestFinished, expect, test } from 'vitest'

const environment = { LISTEN_PORT: '0', OPS_PORT: '0', PUBLIC_URL: 'http://localhost:8080' }

interface Line {
  message: string
  url: string
}

function run(variables: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.resolve('./sample-main.ts'))], {
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  return child
}

async function exitCode(child: ChildProcess): Promise<unknown> {
  const [code]: unknown[] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode]
  return code
}

/** Resolves with the line that says where the service listens. */
async function started(child: ChildProcess): Promise<Line> {
  let output = ''
  for await (const chunk of child.stdout ?? []) {
    output += String(chunk)
    const line = output.split('\n').find((candidate) => candidate.includes('"started"'))
    if (line?.endsWith('}') === true) return JSON.parse(line) as Line
  }
  throw new Error(`The service ended: ${output}`)
}

test('a wrong configuration prints every problem by name and exits with 1', async () => {
  const child = run({ LISTEN_PORT: 'http', PUBLIC_URL: '', LOG_LEVEL: 'loud' })
  const printed = await text(child.stderr ?? process.stdin)
  expect(await exitCode(child)).toBe(1)
  expect(printed).toContain('orders: The configuration is wrong:')
  for (const name of ['LISTEN_PORT', 'PUBLIC_URL', 'LOG_LEVEL']) expect(printed).toContain(`  ${name} `)
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s stops the service with exit code 0', async (signal) => {
  const child = run(environment)
  const { url } = await started(child)
  expect((await fetch(`${url}/look`)).status).toBe(200)
  child.kill(signal)
  expect(await exitCode(child)).toBe(0)
})

test('a second signal does not wait for what runs', async () => {
  const child = run(environment)
  const { url } = await started(child)
  const running = fetch(`${url}/wait`, { method: 'POST' }).then(
    () => 'answered',
    () => 'lost',
  )
  expect((await fetch(`${url}/look`)).status).toBe(200)
  child.kill('SIGTERM')
  const stopping = async (): Promise<void> => {
    while ((await fetch(`${url}/look`).catch(() => undefined)) !== undefined);
  }
  await stopping()
  child.kill('SIGTERM')
  expect(await exitCode(child)).toBe(1)
  expect(await running).toBe('lost')
})
