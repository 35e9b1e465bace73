import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { Customer, sell } from '../../../charts/umbrella/files/journey.ts'
import { Buyers } from './load.ts'

// Shops in a pod of the cluster, beside the release: what it bought it remembers while the release comes and goes. It is told
// what to do through a port of its own pod.

const PORT = 8099
const STOCK = 1_000_000

const run = randomUUID().slice(0, 8)
const customer = new Customer(`shopper-${run}@example.com`, `shops for ${randomUUID()}`)
let productId = ''
let orderId = ''
let buyers: Buyers | undefined

const commands: Readonly<Record<string, () => Promise<unknown>>> = {
  '/buy': async () => {
    await customer.register()
    await customer.logIn()
    productId = await sell(`SHOPPER-${run}`, `Shopper ${run}`, STOCK)
    orderId = await customer.buy(productId)
    return { orderId }
  },
  '/start': () => {
    const { email, password } = customer
    buyers = new Buyers({ url: process.env['EDGE_URL'] ?? '', email, password, productId })
    return Promise.resolve({})
  },
  '/stop': async () => await buyers?.stop(),
  '/find': async () => {
    await customer.logIn()
    return await customer.call('GET', `/order/${orderId}`)
  },
}

createServer((request, response) => {
  const command = commands[request.url ?? '']
  const answer = (status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  if (command === undefined) answer(404, {})
  else {
    command().then(
      (result) => answer(200, { result }),
      (error: unknown) => answer(200, { error: String(error) }),
    )
  }
}).listen(PORT, '127.0.0.1')

process.once('SIGTERM', () => process.exit(0))
