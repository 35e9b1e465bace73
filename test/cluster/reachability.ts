import assert from 'node:assert/strict'
import { needs, serviceNames } from '@saas/contracts'
import type { Release } from './release.ts'

/** What is guarded, where it listens, and who may reach it. The services themselves are reached by the edge only. */
const guarded = {
  postgres: { port: 5432, mayReach: (service: keyof typeof needs) => needs[service].database },
  nats: { port: 4222, mayReach: (service: keyof typeof needs) => needs[service].database },
  objectstore: { port: 9000, mayReach: (service: keyof typeof needs) => needs[service].objectStore },
  mailbox: { port: 1025, mayReach: (service: keyof typeof needs) => needs[service].smtp },
  frontend: { port: 3000, mayReach: () => false },
  orders: { port: 3000, mayReach: () => false },
}
type Guarded = keyof typeof guarded
const guardedNames = Object.keys(guarded) as Guarded[]

const TRY_MS = 3_000
/** In a container, where there is nothing but Node: which of these accept a connection. */
const probe = `
  const { connect } = require('node:net')
  const tried = process.argv.slice(1).map((address) => new Promise((resolve) => {
    const [host, port] = address.split(':')
    const socket = connect({ host, port: Number(port), timeout: ${TRY_MS} })
    const end = (isOpen) => { socket.destroy(); if (isOpen) resolve([address]); else resolve([]) }
    socket.once('connect', () => end(true)).once('error', () => end(false)).once('timeout', () => end(false))
  }))
  Promise.all(tried).then((all) => console.log(JSON.stringify(all.flat())))`

/**
 * Tries every way from each service, and from a pod of somebody else, to what is guarded, and holds what opens against the needs
 * that are declared. Only where network policies are enforced. Answers how many ways were tried.
 */
export async function assertNeedsAreEnforced(release: Release, stranger: string): Promise<number> {
  const opened: Record<string, readonly string[]> = {}
  const due: Record<string, readonly string[]> = {}
  let ways = 0
  for (const service of serviceNames) {
    // What a pod sends to its own Service may come back to itself, about which policies say nothing.
    const others = guardedNames.filter((name) => name !== service)
    const container = [`deployment/${release.name}-${service}`, `--container=${service}`]
    opened[service] = await openWays(release, container, others)
    due[service] = others.filter((name) => guarded[name].mayReach(service))
    ways += others.length
  }
  opened['a stranger'] = await openWays(release, [stranger], guardedNames)
  due['a stranger'] = []
  assert.deepEqual(opened, due, 'who reaches what is not what the needs say')
  return ways + guardedNames.length
}

async function openWays(
  release: Release,
  container: readonly string[],
  names: readonly Guarded[],
): Promise<readonly string[]> {
  const addresses = new Map(names.map((name) => [`${release.name}-${name}:${guarded[name].port}`, name]))
  const said = await release.kubectl('exec', ...container, '--', '/usr/bin/node', '--eval', probe, ...addresses.keys())
  return (JSON.parse(said) as string[]).map((address) => addresses.get(address) ?? address)
}
