/** The part of a Koa context that the guard reads and writes. */
export interface GuardContext {
  readonly method: string
  readonly query: Readonly<Record<string, unknown>>
  get(header: string): string
  status: number
  type: string
  body: unknown
}

const SIGNATURE_ALGORITHM = 'AWS4-HMAC-SHA256'

/**
 * Stands before S3rver, which serves requests without credentials to whoever asks. Only requests with a version 4
 * signature pass (S3rver verifies it, and its age); form uploads, which carry their signature elsewhere, do not. It also
 * answers the one S3 call our client makes that S3rver lacks: which multipart uploads are unfinished.
 */
export async function guardMiddleware(context: GuardContext, next: () => Promise<unknown>): Promise<void> {
  if (!isSigned(context) || isFormUpload(context)) {
    context.status = 403
    context.type = 'application/xml'
    context.body = '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
    return
  }
  try {
    await next()
  } catch (error) {
    // S3rver says so only after it has verified the signature.
    if (!listsUploads(context) || (error as { code?: unknown }).code !== 'NotImplemented') throw error
    context.status = 200
    context.type = 'application/xml'
    context.body =
      '<?xml version="1.0"?><ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>'
  }
}

function isSigned(context: GuardContext): boolean {
  const header = context.get('authorization').startsWith(`${SIGNATURE_ALGORITHM} `)
  const query = context.query['X-Amz-Algorithm'] === SIGNATURE_ALGORITHM && 'X-Amz-Signature' in context.query
  return header !== query
}

function isFormUpload(context: GuardContext): boolean {
  return context.method === 'POST' && /multipart\/form-data/i.test(context.get('content-type'))
}

function listsUploads(context: GuardContext): boolean {
  return context.method === 'GET' && 'uploads' in context.query
}
