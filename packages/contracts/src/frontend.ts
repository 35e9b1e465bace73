import { Type } from 'typebox'
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
  register: '/register',
  verify: '/verify',
  reset: '/reset',
  manageProducts: '/manage/products',
  manageProduct: '/manage/products/{id}',
  operate: '/operate',
  problem: '/problems/{name}',
} as const
export type PageName = keyof typeof pages

function file<const P extends string>(id: string, path: P, summary: string, params?: ReturnType<typeof Strict>) {
  return route({
    id,
    service: 'frontend',
    method: 'GET',
    path,
    access: 'anyone',
    summary,
    ...(params === undefined ? {} : { params }),
    responses: { 200: { content: 'file' } },
  })
}

export const frontendRoutes = {
  getAsset: file(
    'frontend.getAsset',
    '/assets/{file}',
    'A built script, style, font or picture; immutable',
    Strict({ file: Type.String({ maxLength: 200, pattern: '^[A-Za-z0-9_.-]+$' }) }),
  ),
  getIcon: file('frontend.getIcon', '/favicon.svg', 'The icon'),
  getRobots: file('frontend.getRobots', '/robots.txt', 'What crawlers may read'),
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
