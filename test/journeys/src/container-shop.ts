import { serviceNames, type ServiceName } from '@saas/contracts'
import { composeArguments, run, silentProgress, startTrialShop } from '@saas/devstack'
import { readMailsAt } from '@saas/testing'
import { spawnSync } from 'node:child_process'
import { AGE_PROOFS } from './age-proofs.ts'
import type { Shop } from './shop.ts'
import { TROUBLE } from './trouble.ts'

/** The whole product in the containers of `docker/compose.yaml`, with empty databases, on a Linux engine of this machine. */
export async function startContainerShop(): Promise<Shop> {
  const shop = await startTrialShop(silentProgress)
  const { project, secrets, url, mailboxUrl } = shop
  const addresses = await Promise.all(
    serviceNames.map(async (service) => [service, await addressOf(project.name, service)] as const),
  )
  const pause = (command: 'pause' | 'unpause'): void => {
    const { status, stderr } = spawnSync('docker', [...composeArguments(project), command, 'nats'], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stderr)
  }
  const runSql = (database: ServiceName, text: string): void => {
    const psql = ['exec', '-T', 'postgres', 'psql', '-U', 'postgres', '-d', database, '-c', text]
    const { status, stderr } = spawnSync('docker', [...composeArguments(project), ...psql], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`The database ${database} was not changed: ${stderr}`)
  }
  return {
    url,
    mailbox: readMailsAt(mailboxUrl),
    bootstrapToken: secrets.bootstrapToken,
    mailSecretKey: Buffer.from(secrets.mailSecretKey, 'base64url'),
    directUrls: Object.fromEntries(addresses) as Record<ServiceName, string>,
    logOf: (service) => shop.logs(service),
    ageProofs: async () => runSql('auth', AGE_PROOFS),
    makeTrouble: async () => runSql('notifications', TROUBLE),
    freezeBus: () => {
      pause('pause')
      return () => pause('unpause')
    },
    [Symbol.asyncDispose]: () => shop[Symbol.asyncDispose](),
  }
}

/** Inside the network of the containers, which a Linux engine's own machine reaches. */
async function addressOf(project: string, service: ServiceName): Promise<string> {
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
  const address = await run('docker', ['inspect', '--format', format, `${project}-${service}-1`])
  return `http://${address.trim()}:3000`
}
