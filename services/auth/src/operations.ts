import { runOperation } from '@saas/operations'

// The charts' Jobs need a program with an S3 client and one of Postgres, and this image is there anyway.
await runOperation()
