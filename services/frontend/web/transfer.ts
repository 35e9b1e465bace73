import { productsRoutes, type ImportReport, type exportFormats } from '@saas/contracts'
import { open } from './client.ts'
import { keepFile } from './kept-file.ts'
import { Refused, Unanswered, problemOf } from './send.ts'
import { usableToken } from './session.ts'

export type FileFormat = (typeof exportFormats)[number]

const mediaTypes: Readonly<Record<FileFormat, string>> = { csv: 'text/csv', ndjson: 'application/x-ndjson' }

/**
 * Sends a file of products. `progress` hears the part that is sent, from 0 to 1: the shop takes no more than it can
 * save, so this is also the part that is saved. `fetch` tells nothing of the kind. Throws Refused or Unanswered.
 */
export async function importFile(file: File, progress: (part: number) => void): Promise<ImportReport> {
  const format = /\.csv$/i.test(file.name) ? 'csv' : 'ndjson'
  const token = await usableToken()
  const request = new XMLHttpRequest()
  request.open('POST', productsRoutes.importProducts.path)
  request.setRequestHeader('content-type', mediaTypes[format])
  if (token !== undefined) request.setRequestHeader('authorization', `Bearer ${token}`)
  request.upload.addEventListener('progress', ({ loaded, total }) => progress(total === 0 ? 1 : loaded / total))
  await new Promise<void>((resolve, reject) => {
    request.addEventListener('load', () => resolve())
    request.addEventListener('error', () => reject(new Unanswered('No answer came.')))
    request.addEventListener('abort', () => reject(new Unanswered('The answer broke off.')))
    request.send(file)
  })
  if (request.status === 200) return JSON.parse(request.responseText) as ImportReport
  const response = new Response(request.responseText, { status: request.status })
  throw new Refused(response, await problemOf(response.clone()))
}

/** Gives the browser all products as a file to keep. */
export async function exportFile(format: FileFormat): Promise<void> {
  const response = await open(productsRoutes.exportProducts, { query: { format } })
  let file: Blob
  try {
    file = await response.blob()
  } catch (error) {
    throw new Unanswered('The answer broke off.', { cause: error })
  }
  keepFile(file, `products.${format}`)
}
