import { randomBytes, randomUUID } from 'node:crypto'
import { pageRoutes, statefulServices, type Permission } from '@saas/contracts'
import { BOOTSTRAP_TOKEN, PASSWORD, type Person, type Shop } from './shop.ts'

/** What a route is called with. */
export interface Sent {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  /** JSON, or a text with its media type. */
  readonly body?: object | { readonly text: string; readonly mediaType: string }
}

/** Whose the thing is that a route acts on. */
export interface Fixture {
  /**
   * `shared`: it is nobody's in particular. `named`: one person's, named in the path. `implied`: the caller's own, whoever that is.
   */
  readonly of: 'shared' | 'named' | 'implied'
  /** Who has this may read another's too. */
  readonly readableWith?: Permission
  /** The answer to who may. */
  readonly status: number
  /** Or this one, while something has still to be done. */
  readonly pending?: number
  /** Makes what has to be there, and says how it is called. */
  readonly sent: (shop: Shop, owner: Person) => Promise<Sent> | Sent
}

type Made = Fixture['sent']
const shared = (status: number, sent: Made = () => ({})): Fixture => ({ of: 'shared', status, sent })
const named = (status: number, sent: Made): Fixture => ({ of: 'named', status, sent })
const implied = (status: number, sent: Made = () => ({})): Fixture => ({ of: 'implied', status, sent })

const price = { amount: 490, currency: 'EUR' }
const newProduct = (): object => ({ sku: `SKU-${randomUUID()}`, name: 'Tea', price, stock: 5 })
const announced = {
  en: { title: 'News', text: 'There is news.' },
  de: { title: 'Neues', text: 'Es gibt Neues.' },
}
const schedule = {
  name: 'News',
  at: '2099-12-24T08:00',
  zone: 'UTC',
  catchUp: 'skip',
  roles: null,
  announcement: announced,
}
/** Another one each time: guessing at one is slowed down. */
const unknownToken = (): string => randomBytes(32).toString('base64url')
const credential = { id: 'AAAA', rawId: 'AAAA', type: 'public-key', clientExtensionResults: {} }
const clientDataJSON = Buffer.from('{}').toString('base64url')
const assertion = { ...credential, response: { clientDataJSON, authenticatorData: 'AAAA', signature: 'AAAA' } }
const attestation = { ...credential, response: { clientDataJSON, attestationObject: 'AAAA', transports: [] } }
const someId = (): Sent => ({ params: { id: randomUUID() } })

const authFixtures: Readonly<Record<string, Fixture>> = {
  'auth.register': shared(202, () => ({
    body: { email: `${randomUUID()}@example.com`, password: PASSWORD, name: 'Cleo' },
  })),
  'auth.verify': shared(400, () => ({ body: { token: unknownToken() } })),
  'auth.resendVerification': shared(202, (_shop, { email }) => ({ body: { email } })),
  'auth.bootstrap': shared(409, (_shop, { email }) => ({
    body: { bootstrapToken: BOOTSTRAP_TOKEN, email, password: PASSWORD, name: 'Cleo' },
  })),
  'auth.login': shared(200, (_shop, { email }) => ({ body: { email, password: PASSWORD } })),
  'auth.requestLoginCode': shared(202, (_shop, { email }) => ({ body: { email } })),
  'auth.refresh': shared(401, () => ({ body: { refreshToken: 'A'.repeat(43) } })),
  'auth.logout': shared(204, () => ({ body: {} })),
  'auth.forgotPassword': shared(202, (_shop, { email }) => ({ body: { email } })),
  'auth.resetPassword': shared(400, () => ({ body: { token: unknownToken(), password: PASSWORD } })),
  'auth.jwks': shared(200),
  'auth.getAvatar': shared(404, () => ({ params: { key: `${'A'.repeat(22)}-small` } })),
  'auth.changePassword': implied(204, () => ({
    body: { currentPassword: PASSWORD, newPassword: `${PASSWORD} again` },
  })),
  'auth.changeEmail': implied(202, () => ({
    body: { email: `${randomUUID()}@example.com`, currentPassword: PASSWORD },
  })),
  'auth.confirmEmail': implied(400, () => ({ body: { token: unknownToken() } })),
  'auth.undoEmail': shared(400, () => ({ body: { token: unknownToken() } })),
  'auth.listSessions': implied(200),
  'auth.revokeOtherSessions': implied(204),
  'auth.revokeSession': named(204, async (shop, owner) => ({ params: { id: await shop.session(owner.userId) } })),
  'auth.getProfile': implied(200),
  'auth.changeProfile': implied(200, () => ({ body: { name: 'Cleopatra' } })),
  'auth.putAvatar': implied(422, () => ({ body: { text: 'no picture', mediaType: 'image/png' } })),
  'auth.deleteAvatar': implied(200),
  'auth.deleteProfile': implied(204, () => ({ body: { currentPassword: PASSWORD } })),
  'auth.exportProfile': { ...implied(200), pending: 202 },
  'auth.listAudit': shared(200, (_shop, { userId }) => ({ query: `accountId=${userId}` })),
  'auth.getPreferences': implied(200),
  'auth.changePreferences': implied(200, () => ({ body: { digest: false } })),
  'auth.unsubscribe': shared(200, (shop, owner) => ({
    params: { token: shop.unsubscribeToken(owner) },
    body: { text: 'List-Unsubscribe=One-Click', mediaType: 'application/x-www-form-urlencoded' },
  })),
  'auth.showUnsubscribe': shared(303, (shop, owner) => ({ params: { token: shop.unsubscribeToken(owner) } })),
  'auth.passSecondFactor': shared(400, () => ({ body: { mfaToken: unknownToken(), code: '000000' } })),
  'auth.reauthenticate': implied(204, () => ({ body: { password: PASSWORD } })),
  'auth.listFactors': implied(200),
  'auth.proposeTotp': implied(200),
  'auth.confirmTotp': implied(400, () => ({ body: { code: '000000' } })),
  'auth.removeTotp': implied(404),
  'auth.renewRecoveryCodes': implied(403),
  'auth.offerPasskeySignIn': shared(200),
  'auth.signInWithPasskey': shared(401, () => ({ body: { passkey: assertion } })),
  'auth.offerPasskeyAsFactor': shared(400, () => ({ body: { mfaToken: unknownToken() } })),
  'auth.offerPasskeyAsProof': implied(200),
  'auth.offerPasskey': implied(200),
  'auth.addPasskey': implied(422, () => ({ body: { name: 'A key', passkey: attestation } })),
  'auth.renamePasskey': named(200, async (shop, owner) => ({
    params: { id: await shop.passkey(owner) },
    body: { name: 'Another name' },
  })),
  'auth.removePasskey': named(204, async (shop, owner) => {
    // Not the last factor, which an administrator has to keep.
    await shop.passkey(owner)
    return { params: { id: await shop.passkey(owner) } }
  }),
  'auth.resetFactors': shared(204, async (shop) => {
    const [somebody] = await shop.people(['customer'])
    return { params: { id: somebody.userId } }
  }),
  'auth.listProviders': shared(200),
  'auth.departToProvider': shared(404, () => ({ params: { provider: 'nobody' } })),
  'auth.returnFromProvider': shared(404, () => ({ params: { provider: 'nobody' }, body: { state: 'x' } })),
  'auth.departToLink': implied(404, () => ({ params: { provider: 'nobody' } })),
  'auth.returnToLink': implied(404, () => ({ params: { provider: 'nobody' }, body: { state: 'x' } })),
  'auth.unlinkIdentity': named(204, async (shop, owner) => ({ params: { id: await shop.linkedIdentity(owner) } })),
  'auth.listUsers': shared(200),
  'auth.setRoles': shared(200, (_shop, { userId }) => ({ params: { id: userId }, body: { roles: ['manager'] } })),
  'auth.setDisabled': shared(200, (_shop, { userId }) => ({ params: { id: userId }, body: { disabled: true } })),
}

const productsFixtures: Readonly<Record<string, Fixture>> = {
  'products.listProducts': shared(200),
  'products.countFacets': shared(200),
  'products.getProduct': shared(200, async (shop) => ({ params: { id: await shop.product() } })),
  'products.createProduct': shared(201, () => ({ body: newProduct() })),
  'products.replaceProduct': shared(200, async (shop) => ({
    params: { id: await shop.product() },
    headers: { 'if-match': '"1.1"' },
    body: {
      sku: `SKU-${randomUUID()}`,
      name: 'Coffee',
      description: '',
      price,
      category: null,
      tags: [],
      attributes: {},
    },
  })),
  'products.deleteProduct': shared(204, async (shop) => ({
    params: { id: await shop.product() },
    headers: { 'if-match': '"1.1"' },
  })),
  'products.changeStock': shared(200, async (shop) => ({
    params: { id: await shop.product() },
    body: { delta: 1, reason: 'delivery' },
  })),
  'products.putPicture': shared(422, async (shop) => ({
    params: { id: await shop.product(), n: '1' },
    body: { text: 'no picture', mediaType: 'image/png' },
  })),
  'products.deletePicture': shared(200, async (shop) => ({ params: { id: await shop.product(), n: '1' } })),
  'products.getPicture': shared(404, () => ({ params: { key: `${'A'.repeat(22)}-small` } })),
  'products.readHistory': shared(200, async (shop) => ({ params: { id: await shop.product() } })),
  'products.importProducts': shared(200, () => ({
    body: { text: `${JSON.stringify(newProduct())}\n`, mediaType: 'application/x-ndjson' },
  })),
  'products.exportProducts': shared(200, () => ({ query: 'format=ndjson' })),
}

const ordersFixtures: Readonly<Record<string, Fixture>> = {
  'orders.placeOrder': implied(201, async (shop) => ({
    headers: { 'idempotency-key': randomUUID(), prefer: 'wait=0' },
    body: { lines: [{ productId: await shop.productOnSale(), quantity: 1 }] },
  })),
  'orders.listOrders': implied(200),
  'orders.listAllOrders': shared(200),
  'orders.getOrder': {
    ...named(200, async (shop, owner) => ({ params: { id: await shop.order(owner) } })),
    readableWith: 'orders:read',
  },
  'orders.cancelOrder': named(200, async (shop, owner) => ({ params: { id: await shop.order(owner) } })),
  'orders.watchOrder': named(200, async (shop, owner) => ({ params: { id: await shop.order(owner) } })),
  'orders.getCart': implied(200),
  'orders.putCartItem': implied(200, async (shop) => ({
    params: { productId: await shop.productOnSale() },
    body: { quantity: 2 },
  })),
  'orders.deleteCartItem': implied(200, async (shop) => ({ params: { productId: await shop.productOnSale() } })),
  'orders.mergeCart': implied(200, async (shop) => ({
    body: { lines: [{ productId: await shop.productOnSale(), quantity: 1 }] },
  })),
}

const notificationsFixtures: Readonly<Record<string, Fixture>> = {
  'notifications.listMails': shared(200),
  'notifications.resendMail': shared(404, someId),
  'notifications.listSchedules': shared(200),
  'notifications.putSchedule': shared(201, () => ({ ...someId(), body: schedule })),
  'notifications.getSchedule': shared(404, someId),
  'notifications.changeSchedule': shared(404, () => ({ ...someId(), body: { status: 'paused' } })),
  'notifications.cancelSchedule': shared(404, someId),
}

const operatorFixtures = Object.fromEntries(
  statefulServices.flatMap((service) => [
    [`${service}.listDeadLetters`, shared(200)],
    [`${service}.replayDeadLetter`, shared(404, someId)],
    [`${service}.dismissDeadLetter`, shared(404, () => ({ ...someId(), body: { reason: 'A test sent it' } }))],
    [`${service}.reopenDeadLetter`, shared(404, someId)],
    [`${service}.getLag`, shared(200)],
  ]),
)

const frontendFixtures = Object.fromEntries([
  ['frontend.getAsset', shared(200, () => ({ params: { file: 'index.js' } }))],
  ['frontend.getIcon', shared(200)],
  ['frontend.getRobots', shared(200)],
  // A page answers the same document whatever its path names.
  ...pageRoutes.map(({ id, path }): [string, Fixture] => {
    const names = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = '']) => name)
    return [id, shared(200, () => ({ params: Object.fromEntries(names.map((name) => [name, randomUUID()])) }))]
  }),
])

/** How each route of the contract is called. A route that is not here fails the tests. */
export const fixtures: ReadonlyMap<string, Fixture> = new Map(
  Object.entries({
    ...authFixtures,
    ...productsFixtures,
    ...ordersFixtures,
    ...notificationsFixtures,
    ...operatorFixtures,
    ...frontendFixtures,
  }),
)
