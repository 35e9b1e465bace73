import { createServer } from 'node:http'
import S3rver from '@20minutes/s3rver'
import AWSAccount from '@20minutes/s3rver/lib/models/account.js'
import { guardMiddleware } from './object-store-guard.ts'

/** The object store's own process: S3rver, which verifies signatures, behind a guard that asks for one. */
const { OBJECT_STORE_PORT, OBJECT_STORE_DIRECTORY, OBJECT_STORE_BUCKET } = process.env
const { OBJECT_STORE_ACCESS_KEY = '', OBJECT_STORE_SECRET_KEY = '' } = process.env

// S3rver comes with a key that everybody knows.
AWSAccount.DUMMY_ACCOUNT.revokeAccessKey('S3RVER')
AWSAccount.DUMMY_ACCOUNT.createKeyPair(OBJECT_STORE_ACCESS_KEY, OBJECT_STORE_SECRET_KEY)

const store = new S3rver({
  silent: true,
  directory: OBJECT_STORE_DIRECTORY,
  vhostBuckets: false,
  allowMismatchedSignatures: false,
  configureBuckets: [{ name: OBJECT_STORE_BUCKET }],
})
store.middleware.unshift(guardMiddleware)
await store.configureBuckets()

const server = createServer(store.callback())
server.listen(Number(OBJECT_STORE_PORT), '127.0.0.1')

process.once('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
