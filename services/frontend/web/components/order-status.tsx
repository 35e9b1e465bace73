import type { OrderStatus } from '@saas/contracts'
import { texts } from '../language.ts'
import { Icon } from './icon.tsx'

const icons = { pending: 'clock', confirmed: 'check', rejected: 'cross', cancelled: 'cross' } as const

export function StatusBadge({ status }: { status: OrderStatus }) {
  return (
    <span class={`badge ${status}`}>
      <Icon name={icons[status]} />
      {texts.value.order.statuses[status]}
    </span>
  )
}
