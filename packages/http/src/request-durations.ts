import { Histogram, type Registry } from 'prom-client'

const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** How long requests took. What they are counted under is looked up once: by its labels it is looked for anew each time. */
export class RequestDurations {
  readonly #histogram: Histogram<'route' | 'method' | 'status'>
  readonly #known = new Map<string, { observe(seconds: number): void }>()

  constructor(registry: Registry) {
    this.#histogram = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from the request to the end of its answer, by route id',
      labelNames: ['route', 'method', 'status'],
      buckets: BUCKETS_SECONDS,
      registers: [registry],
    })
  }

  observe(route: string, method: string, status: number, seconds: number): void {
    const name = `${route} ${method} ${status}`
    let counted = this.#known.get(name)
    if (counted === undefined) {
      counted = this.#histogram.labels({ route, method, status })
      this.#known.set(name, counted)
    }
    counted.observe(seconds)
  }
}
