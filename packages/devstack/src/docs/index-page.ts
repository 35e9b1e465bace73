import { page } from './page.ts'

/** Where one finds what the services promise. */
export function indexPage(): string {
  return page(
    'API',
    `<h1>API</h1>
<p class="lead">What the services promise, made from the same description they run from.</p>
<a class="card" href="/http"><strong>HTTP</strong>Every route, who may call it, what it takes and answers; calls can be tried.</a>
<a class="card" href="/events"><strong>Events</strong>Every message on the stream, who sends it and who applies it, with an example.</a>
<a class="card" href="/mails"><strong>Mails</strong>Every mail in every language, as a phone and a desk show it.</a>
<p class="lead">As documents: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1), <a href="/asyncapi.json">asyncapi.json</a> (AsyncAPI 3.0).</p>`,
  )
}
