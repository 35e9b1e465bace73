import type { ComponentChildren } from 'preact'

/**
 * A table that becomes a stack of cards on a phone. The roles are written out because browsers forget them when the
 * display changes.
 */
export function Table({ heads, children }: { heads: readonly string[]; children: ComponentChildren }) {
  return (
    <div class="table-frame">
      <table role="table">
        <thead role="rowgroup">
          <tr role="row">
            {heads.map((head) => (
              <th role="columnheader" scope="col" key={head}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">{children}</tbody>
      </table>
    </div>
  )
}

export function Row({ head, children }: { head: ComponentChildren; children: ComponentChildren }) {
  return (
    <tr role="row">
      <th role="rowheader" scope="row">
        {head}
      </th>
      {children}
    </tr>
  )
}

export function Cell({ kind, children }: { kind?: string; children?: ComponentChildren }) {
  return (
    <td role="cell" class={kind}>
      {children}
    </td>
  )
}
