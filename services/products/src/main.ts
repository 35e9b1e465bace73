import { operatorRoutes, productsRoutes } from '@saas/contracts'
import {
  createApp,
  listen,
  operatorHandlers,
  registerRoutes,
  Repeating,
  runService,
  type RunningService,
  type ServiceContext,
} from '@saas/http'
import { PictureDecoder } from '@saas/pictures'
import { State } from '@saas/state'
import { productsVariables, type ProductsConfig } from './config.ts'
import { consumeEvents } from './events.ts'
import { Facets } from './facets.ts'
import { Pictures } from './pictures.ts'
import { ProductHistory } from './product-history.ts'
import { ProductImport } from './product-import.ts'
import { ProductList } from './product-list.ts'
import { Products } from './products.ts'
import { productsHandlers } from './routes.ts'
import { Stock } from './stock.ts'

const ORPHANS_COLLECTED_EVERY_MS = 60_000

/** Starts the service; disposing finishes what runs and then lets go of everything. */
export async function startProducts(config: ProductsConfig, context: ServiceContext): Promise<RunningService> {
  await using resources = new AsyncDisposableStack()
  const state = resources.use(State.connect(config, { service: 'products', ...context }))
  const { logger, clock } = context
  const { database, bus, objects } = state
  const routes = { ...productsRoutes, ...operatorRoutes('products') }
  const { internalTokenKeys } = config
  const app = createApp({ service: 'products', routes, ...context, internalTokenKeys, state })

  const products = new Products({ database, bus, clock })
  const stock = new Stock({ database, bus, clock })
  const imports = new ProductImport({ database, bus, clock })
  const decoder = resources.use(new PictureDecoder({ memoryMaxMiB: config.pictureMemoryMiB }))
  const pictures = new Pictures({ database, bus, objects, decoder, clock, logger })
  const history = new ProductHistory(database)
  const list = new ProductList(database)
  const facets = new Facets(database)
  registerRoutes(app, routes, {
    ...productsHandlers({ products, stock, list, facets, imports, history, pictures, database }),
    ...operatorHandlers(bus),
  })
  consumeEvents(bus, clock)
  bus.startRelay()
  const run = () => pictures.collectOrphans()
  resources.use(new Repeating({ name: 'pictures', everyMs: ORPHANS_COLLECTED_EVERY_MS, clock, logger, run })).start()

  return await listen(app, config, resources)
}

if (import.meta.main) await runService({ name: 'products', variables: productsVariables, start: startProducts })
