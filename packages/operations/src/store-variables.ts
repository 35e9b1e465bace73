import { objectStore, text, type Config } from '@saas/config'
import type { BucketOptions } from './bucket.ts'

/** Where backups are. */
export const storeVariables = {
  ...objectStore,
  prefix: text('BACKUP_PREFIX', {
    description: 'Folder of the backups in the bucket; several releases may share one',
    example: 'default/saas-postgres',
  }),
}

export function whereOf(config: Config<typeof storeVariables>): BucketOptions {
  return {
    endpoint: config.s3Endpoint,
    region: config.s3Region,
    bucket: config.s3Bucket,
    accessKey: config.s3AccessKey,
    secretKey: config.s3SecretKey,
  }
}
