/** What we use of a package that has no types of its own. */
declare module '@20minutes/s3rver' {
  import type { RequestListener } from 'node:http'

  export default class S3rver {
    constructor(options: {
      silent?: boolean
      directory?: string | undefined
      vhostBuckets?: boolean
      allowMismatchedSignatures?: boolean
      configureBuckets?: { name: string | undefined }[]
    })
    readonly middleware: unknown[]
    configureBuckets(): Promise<unknown>
    callback(): RequestListener
  }
}

declare module '@20minutes/s3rver/lib/models/account.js' {
  const AWSAccount: {
    DUMMY_ACCOUNT: {
      createKeyPair(accessKeyId: string, secretAccessKey: string): void
      revokeAccessKey(accessKeyId: string): void
    }
  }
  export default AWSAccount
}
