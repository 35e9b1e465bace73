import Fastify from 'fastify'

/** The least that Fastify can do, at the path where auth decides. */
const fastify = Fastify()
fastify.all('/authz', (_request, reply) => reply.code(204).send())
await fastify.listen({ host: '127.0.0.1', port: Number(process.env['LISTEN_PORT']) })
