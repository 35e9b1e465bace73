import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, startNginx, writeEdgeConfiguration, type NginxServer } from '@saas/devstack'
import { byService, type ServiceName } from '@saas/contracts'
import type { Stage } from '../frame/stage.ts'

/** The edge as production runs it, in front of one service. */
export async function startEdge(stage: Stage, service: ServiceName, serviceUrl: string): Promise<NginxServer> {
  const port = await freePort()
  const directory = join(stage.directory, 'edge')
  const configurationFile = writeEdgeConfiguration(directory, {
    listen: [`127.0.0.1:${port}`],
    publicUrl: 'http://localhost:8080',
    trustedHops: 0,
    accessLog: join(stage.directory, 'logs', 'edge.log'),
    upstreams: byService(() => [new URL(serviceUrl).host]),
  })
  const origin = `http://127.0.0.1:${port}`
  const nginx = await startNginx({ directory, configurationFile, url: `${origin}/${service}` })
  return { ...nginx, url: origin }
}

/** nginx at its best: one file, no log, nothing else. */
export async function startStaticServer(stage: Stage, body: Buffer): Promise<NginxServer> {
  const port = await freePort()
  const directory = join(stage.directory, 'static')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'product'), body)
  writeFileSync(
    join(directory, 'nginx.conf'),
    `pid run/nginx.pid;
worker_processes auto;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10;
  default_type application/json;
  client_body_temp_path run/body; proxy_temp_path run/proxy; fastcgi_temp_path run/f; uwsgi_temp_path run/u; scgi_temp_path run/s;
  server { listen 127.0.0.1:${port}; keepalive_requests 1000000; root ${directory}; }
}
`,
  )
  const origin = `http://127.0.0.1:${port}`
  const nginx = await startNginx({
    directory,
    configurationFile: join(directory, 'nginx.conf'),
    url: `${origin}/product`,
  })
  return { ...nginx, url: origin }
}
