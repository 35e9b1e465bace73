import { X509Certificate } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { findProgram, freePort, run, startNginx } from '@saas/devstack'
import { eventually, newDirectory } from '@saas/testing'
import { expect, test } from 'vitest'
import { rendered } from './helm.ts'
import { named } from './objects.ts'

const HOST = 'shop.example.com'

test('nginx ends TLS itself, takes a renewed certificate without a restart, and leads plain requests there', async ({
  skip,
}) => {
  if (findProgram('openssl') === undefined) skip('no openssl to make a certificate with')
  const directory = newDirectory('edge-tls')
  const files = join(directory, 'files')
  mkdirSync(files)
  const [port, tlsPort, opsPort] = [await freePort(), await freePort(), await freePort()]
  const objects = await rendered({
    set: { 'global.publicUrl': `https://${HOST}`, 'edge.tls.secret': 'shop-tls', 'edge.service.type': 'LoadBalancer' },
  })
  for (const [name, content] of Object.entries(named(objects, 'ConfigMap', 'shop-edge')['data'] as object)) {
    // Only addresses and folders differ from what runs in a pod, and three directives that are younger than the nginx of many machines.
    const here = String(content)
      .replaceAll(/shop-[a-z]+:3000/g, '127.0.0.1:1')
      .replace('listen 8080', `listen 127.0.0.1:${port}`)
      .replace('listen 8443', `listen 127.0.0.1:${tlsPort}`)
      .replace('listen 9000', `listen 127.0.0.1:${opsPort}`)
      .replace('/dev/stdout', 'run/access.log')
      .replaceAll('/etc/certificate', directory)
      .replace(/^ *(http2 on|ssl_certificate_cache .*|keepalive_min_timeout .*);$/gm, '')
    writeFileSync(join(files, name), here)
  }
  await makeCertificate(directory)
  await using _ = await startNginx({
    directory,
    configurationFile: join(files, 'nginx.conf'),
    url: `http://127.0.0.1:${port}/`,
  })
  const plain = await fetch(`http://127.0.0.1:${port}/product?limit=1`, {
    redirect: 'manual',
    headers: { host: 'evil.example' },
  })
  expect([plain.status, plain.headers.get('location')]).toEqual([308, `https://${HOST}/product?limit=1`])
  const first = await serialAt(tlsPort)
  await makeCertificate(directory)
  await eventually(async () => expect(await serialAt(tlsPort)).not.toBe(first))
})

async function makeCertificate(directory: string): Promise<void> {
  const files = ['-keyout', join(directory, 'tls.key'), '-out', join(directory, 'tls.crt')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await run('openssl', ['req', '-x509', '-days', '2', '-subj', `/CN=${HOST}`, ...curve, ...files])
}

/** Of the certificate that is shown, after a request by TLS was answered. */
async function serialAt(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ port, host: '127.0.0.1', servername: HOST, rejectUnauthorized: false }, () => {
    socket.write(`GET /nothing-there HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`)
  })
  socket.once('error', reject).once('data', (answer: Buffer) => {
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 404 /)
    expect(answer.toString()).toMatch(/strict-transport-security: max-age/i)
    resolve(new X509Certificate(socket.getPeerCertificate().raw).serialNumber)
  })
  return await promise.finally(() => socket.destroy())
}
