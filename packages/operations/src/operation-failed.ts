/** An operation cannot be done; the message is a sentence for whoever runs it. */
export class OperationFailed extends Error {
  override readonly name = 'OperationFailed'
}
