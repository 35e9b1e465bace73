import type { FastifyReply, FastifyRequest } from 'fastify'
import { Socket } from 'node:net'
import { TRANSFER_IDLE_MS } from './limits.ts'

const transferring = new WeakSet<Socket>()

/** Lifts the limits on the whole of a request and sets one on standing still, until its answer is sent. */
export function beginTransfer(request: FastifyRequest, reply: FastifyReply): void {
  const { socket } = request.raw
  // Not where a request is injected.
  if (!(socket instanceof Socket)) return
  const stop = () => socket.destroy()
  transferring.add(socket)
  socket.setTimeout(TRANSFER_IDLE_MS, stop)
  reply.raw.once('close', () => {
    transferring.delete(socket)
    socket.removeListener('timeout', stop)
  })
}

/** Whether a request on this socket may take as long as its data. */
export function isTransferring(socket: Socket): boolean {
  return transferring.has(socket)
}
