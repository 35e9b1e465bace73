import { headers as emptyHeaders } from '@nats-io/transport-node'
import { ordersRoutes, productsRoutes, type Order, type Product, type Route } from '@saas/contracts'
import { eventually, type CallAnswer, type CallOptions } from '@saas/testing'
import { randomUUID } from 'node:crypto'
import { INJECTED_HEADER, type Ledger } from '../checkers/index.ts'
import { CLIENTS, PRODUCTS, type Command, type WantedLine } from './commands.ts'
import { expectedStock, ModelClient, type ModelProduct } from './model.ts'
import type { ServiceName, System } from './system.ts'

const STOCK = 12
const PRICE = 490
const STREAM = 'messages'
/** Whoever loses an acknowledgement hears of its message again after five seconds, and may lose that one too. */
const ANSWERED_WITHIN_MS = 60_000
const SETTLED_WITHIN_MS = 60_000

/** One run of commands on the real services and on the model; new clients and new products each time. */
export class Run {
  readonly #system: System
  readonly #ledger: Ledger
  readonly #clients = Array.from({ length: CLIENTS }, () => ({ userId: randomUUID(), model: new ModelClient() }))
  readonly #products: ModelProduct[] = []
  readonly #managerId = randomUUID()
  readonly #problems: string[] = []
  /** Each client does one thing after another, and all clients at once. */
  readonly #turns: Promise<void>[] = Array.from({ length: CLIENTS + 1 }, () => Promise.resolve())

  private constructor(system: System, ledger: Ledger) {
    this.#system = system
    this.#ledger = ledger
  }

  /** @returns What was wrong; nothing when the services did what the model says. */
  static async of(commands: readonly Command[], system: System, ledger: Ledger): Promise<string[]> {
    const run = new Run(system, ledger)
    for (let product = 0; product < PRODUCTS; product += 1) await run.#sell()
    for (const command of commands) await run.#begin(command)
    await run.#settle()
    return run.#problems
  }

  async #sell(): Promise<void> {
    const body = { sku: `SKU-${randomUUID()}`, name: 'Tea', price: { amount: PRICE, currency: 'EUR' }, stock: STOCK }
    const answer = await this.#manage(productsRoutes.createProduct, { body })
    const id = answer.status === 409 ? await this.#productWith(body.sku) : (answer.body as Product).id
    this.#ledger.products.push({ id, stock: STOCK })
    this.#products.push({ id, supplied: STOCK, prices: new Set([PRICE]) })
    const text = 'select 1 from product_copy where product_id = $1'
    await eventually(async () => (await this.#system.databases.orders.query(text, [id])).length === 1, {
      timeoutMs: SETTLED_WITHIN_MS,
    })
  }

  /** A lost answer leaves the SKU taken: by us, then. */
  async #productWith(sku: string): Promise<string> {
    const [found] = await this.#system.databases.products.query<{ id: string }>(
      'select id from product where sku = $1',
      [sku],
    )
    if (found === undefined) throw new Error(`The SKU ${sku} is taken by nobody`)
    return found.id
  }

  /** Clients act at once; what happens to the services happens in the middle of it. */
  async #begin(command: Command): Promise<void> {
    switch (command.kind) {
      case 'again':
        return await this.#publishAgain(command.count)
      case 'lose':
        this.#system.wires[command.service][command.wire].loseAnswers(1)
        return undefined
      case 'restart':
        return await this.#system.restart(command.service)
      case 'settle':
        return await this.#settle()
      case 'stock':
        return this.#enqueue(CLIENTS, () => this.#changeStock(command.product, command.delta))
      case 'price':
        return this.#enqueue(CLIENTS, () => this.#changePrice(command.product, command.amount))
      default:
        return this.#enqueue(command.client, () => this.#act(command))
    }
  }

  #enqueue(turn: number, work: () => Promise<void>): void {
    this.#turns[turn] = (this.#turns[turn] ?? Promise.resolve()).then(work)
  }

  async #act(command: Extract<Command, { readonly client: number }>): Promise<void> {
    const { userId, model } = this.#client(command.client)
    switch (command.kind) {
      case 'place':
        return await this.#place(command.client, `key-${command.key}`, command.lines, command.clicks)
      case 'put': {
        const productId = this.#products[command.product]?.id ?? ''
        const body = { quantity: command.quantity }
        const answer = await this.#order(userId, ordersRoutes.putCartItem, { params: { productId }, body })
        model.cart.set(command.product, command.quantity)
        this.#problems.push(...model.compareCart(answer.body, this.#products))
        return
      }
      case 'remove': {
        const productId = this.#products[command.product]?.id ?? ''
        const answer = await this.#order(userId, ordersRoutes.deleteCartItem, { params: { productId } })
        model.cart.delete(command.product)
        this.#problems.push(...model.compareCart(answer.body, this.#products))
        return
      }
      case 'order-cart':
        return await this.#orderCart(command.client, command.tabs)
      case 'cancel':
        return await this.#cancel(command.client, command.order)
      case 'read':
        return await this.#read(command.client)
    }
  }

  /** One key is one order, however often it is sent; other lines under it are refused. */
  async #place(client: number, key: string, lines: readonly WantedLine[], clicks: number): Promise<void> {
    const { userId, model } = this.#client(client)
    const fingerprint = JSON.stringify(lines)
    const known = model.keys.get(key)
    const body = {
      lines: lines.map(({ product, quantity }) => ({ productId: this.#products[product]?.id ?? '', quantity })),
    }
    const sent = Array.from({ length: clicks }, () => this.#placeOnce(userId, key, body))
    for (const { status, body: order } of await Promise.all(sent)) {
      if (known !== undefined && known.fingerprint !== fingerprint) {
        if (status !== 422) this.#problems.push(`Other lines under ${key} were answered with ${status}`)
        continue
      }
      if (status !== 201) {
        this.#problems.push(`An order was answered with ${status}`)
        continue
      }
      const made = model.keys.get(key)
      if (made !== undefined && made.orderId !== order.id) this.#problems.push(`${key} made two orders`)
      model.keys.set(key, { fingerprint, orderId: order.id })
      this.#problems.push(...model.remember(order, lines, this.#products))
    }
  }

  /** Two tabs order one cart under a key each: one of them has it. */
  async #orderCart(client: number, tabs: number): Promise<void> {
    const { userId, model } = this.#client(client)
    const keys = Array.from({ length: tabs }, () => randomUUID())
    const answers = await Promise.all(keys.map((key) => this.#placeOnce(userId, key, {})))
    const orders = answers.filter(({ status }) => status === 201).map(({ body }) => body)
    const wanted = model.cart.size === 0 ? 0 : 1
    if (orders.length !== wanted) this.#problems.push(`A cart of ${model.cart.size} became ${orders.length} orders`)
    const lines = [...model.cart].map(([product, quantity]) => ({ product, quantity }))
    for (const order of orders) this.#problems.push(...model.remember(order, lines, this.#products))
    model.cart.clear()
  }

  async #placeOnce(userId: string, key: string, body: object): Promise<{ status: number; body: Order }> {
    const headers = { 'idempotency-key': key, prefer: 'wait=0' }
    const answer = await this.#order(userId, ordersRoutes.placeOrder, { body, headers })
    const { status, headers: answered } = answer
    const order = status === 201 ? (answer.body as Order) : undefined
    this.#ledger.placed.push({ userId, key, status, location: answered['location'], order })
    return { status, body: answer.body as Order }
  }

  async #cancel(client: number, number: number): Promise<void> {
    const { userId, model } = this.#client(client)
    const all = [...model.orders]
    const [id, known] = all[number % Math.max(1, all.length)] ?? []
    if (id === undefined || known === undefined) return
    const { status } = await this.#order(userId, ordersRoutes.cancelOrder, { params: { id } })
    if (status === 200) {
      if (known.isRejected) this.#problems.push(`The rejected order ${id} was cancelled`)
      known.isCancelled = true
      this.#ledger.cancelled.push(id)
    } else if (status === 409) {
      if (known.isCancelled) this.#problems.push(`The cancelled order ${id} could not be cancelled again`)
      known.isRejected = true
    } else this.#problems.push(`A cancellation was answered with ${status}`)
  }

  async #read(client: number): Promise<void> {
    const { userId, model } = this.#client(client)
    const cart = await this.#order(userId, ordersRoutes.getCart)
    this.#problems.push(...model.compareCart(cart.body, this.#products))
    const list = await this.#order(userId, ordersRoutes.listOrders, { query: { limit: 100 } })
    const listed = (list.body.items as Order[]).map(({ id }) => id).toSorted()
    const known = [...model.orders.keys()].toSorted()
    if (JSON.stringify(listed) !== JSON.stringify(known))
      this.#problems.push(`Listed are ${listed.join()} and not ${known.join()}`)
  }

  async #changeStock(product: number, delta: number): Promise<void> {
    const known = this.#products[product]
    if (known === undefined || delta === 0) return
    const key = randomUUID()
    const headers = { 'idempotency-key': key }
    const body = { delta, reason: 'counted' }
    const { status } = await this.#manage(productsRoutes.changeStock, { params: { id: known.id }, body, headers })
    this.#ledger.stockChanges.push({ key, productId: known.id, delta, status })
    if (status === 200) known.supplied += delta
    else if (delta > 0) this.#problems.push(`More stock was answered with ${status}`)
  }

  async #changePrice(product: number, amount: number): Promise<void> {
    const known = this.#products[product]
    if (known === undefined) return
    known.prices.add(amount)
    await eventually(async () => {
      const current = await this.#manage(productsRoutes.getProduct, { params: { id: known.id } })
      const { sku, name } = current.body as Product
      const answer = await this.#manage(productsRoutes.replaceProduct, {
        params: { id: known.id },
        headers: { 'if-match': current.headers['etag'] ?? '' },
        body: { sku, name, price: { amount, currency: 'EUR' } },
      })
      // A lost answer leaves the new version behind, which the next attempt sees.
      return answer.status === 200
    })
  }

  /** Messages that were delivered come again, under their ids, in any order. */
  async #publishAgain(count: number): Promise<void> {
    const manager = await this.#system.bus.manager()
    const { state } = await manager.streams.info(STREAM)
    const client = await this.#system.bus.administrator()
    for (let back = count; back > 0; back -= 1) {
      const seq = state.last_seq - ((back * 7) % Math.max(1, Math.min(40, state.messages)))
      const message = seq < state.first_seq ? null : await manager.streams.getMessage(STREAM, { seq })
      if (message === null) continue
      const headers = emptyHeaders()
      for (const [name, [value = '']] of message.header) if (name !== 'Nats-Msg-Id') headers.set(name, value)
      headers.set(INJECTED_HEADER, 'again')
      client.publish(message.subject, message.data, { headers })
    }
  }

  /** Everybody has finished and everything is decided: now the world and the model must say the same. */
  async #settle(): Promise<void> {
    await Promise.all(this.#turns)
    const ids = this.#clients.flatMap(({ model }) => [...model.orders.keys()])
    const productIds = this.#products.map(({ id }) => id)
    const models = this.#clients.map(({ model }) => model)
    try {
      await eventually(
        async () => {
          const rows = await this.#system.databases.orders.query<{ order_id: string; status: Order['status'] }>(
            'select order_id, status from orders where order_id = any($1::uuid[])',
            [ids],
          )
          const statusOf = new Map(rows.map(({ order_id, status }) => [order_id, status]))
          const waiting = ids.filter((id) => (statusOf.get(id) ?? 'pending') === 'pending')
          if (waiting.length > 0) throw new Error(`The orders ${waiting.join()} are not decided`)
          const stock = await this.#system.databases.products.query<{ available: string }>(
            'select available from product join unnest($1::uuid[]) with ordinality as wanted(id, place) using (id) order by place',
            [productIds],
          )
          const [available, expected] = [
            stock.map((row) => Number(row.available)),
            expectedStock(this.#products, models, statusOf),
          ]
          if (JSON.stringify(available) !== JSON.stringify(expected)) {
            throw new Error(`Available are ${available.join()} and not ${expected.join()}`)
          }
          this.#compareStates(models, statusOf)
        },
        { timeoutMs: SETTLED_WITHIN_MS },
      )
    } catch (error) {
      this.#problems.push(String(error))
    }
  }

  #compareStates(models: readonly ModelClient[], statusOf: ReadonlyMap<string, Order['status']>): void {
    for (const { orders } of models) {
      for (const [id, { isCancelled, isRejected }] of orders) {
        const status = statusOf.get(id)
        if (isCancelled !== (status === 'cancelled'))
          this.#problems.push(`Order ${id} is ${status}, cancelled: ${isCancelled}`)
        if (isRejected && status !== 'rejected') this.#problems.push(`Order ${id} was rejected and is ${status}`)
      }
    }
  }

  #client(number: number): { readonly userId: string; readonly model: ModelClient } {
    const client = this.#clients[number]
    if (client === undefined) throw new Error(`There is no client ${number}`)
    return client
  }

  async #order<R extends Route>(userId: string, route: R, options: CallOptions<R> = {}): Promise<CallAnswer> {
    return await this.#until('orders', route, { ...options, as: { userId } })
  }

  async #manage<R extends Route>(route: R, options: CallOptions<R>): Promise<CallAnswer> {
    return await this.#until('products', route, { ...options, as: { userId: this.#managerId, roles: ['manager'] } })
  }

  /** Sends the same again until the answer is another one than 503, as a client does. */
  async #until<R extends Route>(service: ServiceName, route: R, options: CallOptions<R>): Promise<CallAnswer> {
    return await eventually(
      async () => {
        const answer = await this.#system.services[service].call(route, options)
        if (answer.status === 503) throw new Error(`${route.path}: ${JSON.stringify(answer.body)}`)
        return answer
      },
      { timeoutMs: ANSWERED_WITHIN_MS },
    )
  }
}
