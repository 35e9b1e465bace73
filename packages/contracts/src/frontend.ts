import { Type } from './schema.ts'
import { route } from './route.ts'
import { Strict } from './shapes.ts'

/** Every page of the front end, by name; the browser's router and the edge read the same table. */
export const pages = {
  shop: '/',
  product: '/p/{id}',
  basket: '/basket',
  orders: '/my/orders',
  order: '/my/orders/{id}',
  account: '/account',
  login: '/login',
  provider: '/oidc/{provider}',
  register: '/register',
  verify: '/verify',
  reset: '/reset',
  unsubscribe: '/unsubscribe',
  email: '/email',
  emailUndo: '/email/undo',
  manageProducts: '/manage/products',
  manageProduct: '/manage/products/{id}',
  manageFiles: '/manage/files',
  manageOrders: '/manage/orders',
  manageOrder: '/manage/orders/{id}',
  operate: '/operate',
  problem: '/problems/{name}',
} as const
export type PageName = keyof typeof pages

const file = { service: 'frontend', method: 'GET', access: 'anyone', responses: { 200: { content: 'file' } } } as const

export const frontendRoutes = {
  getAsset: route({
    ...file,
    id: 'frontend.getAsset',
    path: '/assets/{file}',
    perRelease: true,
    summary: 'A built script, style, font or picture; immutable',
    params: Strict({
      file: Type.String({
        maxLength: 200,
        pattern: '^[A-Za-z0-9_.-]+$',
        description: 'Letters, digits, `.`, `-` and `_`',
      }),
    }),
  }),
  getIcon: route({ ...file, id: 'frontend.getIcon', path: '/favicon.svg', summary: 'The icon' }),
  getRobots: route({ ...file, id: 'frontend.getRobots', path: '/robots.txt', summary: 'What crawlers may index' }),
}

/** One route a page: each answers the same document, in which the browser's router shows the page. */
export const pageRoutes = Object.entries(pages).map(([name, path]) =>
  route({
    id: `frontend.page.${name}`,
    service: 'frontend',
    method: 'GET',
    path,
    access: 'anyone',
    summary: `Page: ${name}`,
    responses: { 200: { content: 'text/html' } },
  }),
)
