import { findProgram, startObjectStore } from '@saas/devstack'
import { newDirectory } from '@saas/testing'
import { describe, expect, test } from 'vitest'
import { decryptFromAdmin, encryptForAdmin } from '../src/admin-cipher.ts'
import { Bucket } from '../src/bucket.ts'
import { provideKeys } from '../src/object-store-keys.ts'

const silent = (): void => undefined

test('what is wrapped for the administrative API opens with the same key only', () => {
  const wrapped = encryptForAdmin('secret', Buffer.from('data'))
  expect(decryptFromAdmin('secret', wrapped).toString()).toBe('data')
  expect(() => decryptFromAdmin('other', wrapped)).toThrow(/authenticate/)
})

test('a variable that is missing is named', async () => {
  await expect(provideKeys({ BUCKET_USERS: 'auth' }, silent)).rejects.toThrow(/ROOT_ACCESS_KEY/)
})

// The stand-in of development has one key; what keys may do is the server's own business.
describe.skipIf(findProgram('minio') === undefined)('the keys of a MinIO', () => {
  test('open their own bucket and no other, follow a change, and are refused otherwise', async () => {
    await using server = await startObjectStore({
      directory: newDirectory('minio'),
      accessKey: 'administrator',
      secretKey: 'administrator-for-tests',
      bucket: 'unused',
      program: 'minio',
    })
    const { endpoint, region } = server
    const environment = {
      S3_ENDPOINT: endpoint,
      ROOT_ACCESS_KEY: 'administrator',
      ROOT_SECRET_KEY: 'administrator-for-tests',
      BUCKET_USERS: 'auth products',
      BUCKET_AUTH: 'saas-auth',
      ACCESS_KEY_AUTH: 'p0123456789012345678901234567890',
      SECRET_KEY_AUTH: 'secret-of-auth',
      BUCKET_PRODUCTS: 'saas-products',
      ACCESS_KEY_PRODUCTS: 'p1123456789012345678901234567890',
      SECRET_KEY_PRODUCTS: 'secret-of-products',
    }
    const open = (bucket: string, accessKey: string, secretKey: string) =>
      new Bucket({ endpoint, region, bucket, accessKey, secretKey })
    await provideKeys(environment, silent)
    await provideKeys(environment, silent)

    const own = open('saas-auth', environment.ACCESS_KEY_AUTH, 'secret-of-auth')
    await own.put('a/key', Buffer.from('mine'))
    expect(await own.get('a/key')).toEqual(Buffer.from('mine'))
    expect(await own.get('another')).toBeUndefined()
    expect(await own.keys('')).toEqual(['a/key'])
    await own.remove('a/key')
    const foreign = open('saas-products', environment.ACCESS_KEY_AUTH, 'secret-of-auth')
    await expect(foreign.put('a/key', Buffer.from('theirs'))).rejects.toThrow(/refuses the key .* saas-products/)
    await expect(foreign.keys('')).rejects.toThrow(/AccessDenied/)

    await provideKeys({ ...environment, SECRET_KEY_AUTH: 'another-secret' }, silent)
    await expect(own.keys('')).rejects.toThrow(/SignatureDoesNotMatch/)
    expect(await open('saas-auth', environment.ACCESS_KEY_AUTH, 'another-secret').keys('')).toEqual([])
    await expect(provideKeys({ ...environment, ROOT_SECRET_KEY: 'wrong' }, silent)).rejects.toThrow(
      /refuses its administrator \(SignatureDoesNotMatch\)/,
    )
  })
})
