import { useSignal } from '@preact/signals'
import { authRoutes, roles, type Role, type User } from '@saas/contracts'
import { call } from '../client.ts'
import { entry } from '../components/form.tsx'
import { AskingButton } from '../components/question.tsx'
import { Empty, ListFrame } from '../components/states.tsx'
import { Cell, Row, Table } from '../components/table.tsx'
import { texts } from '../language.ts'
import { useList } from '../loaded.ts'
import { say, sayTrouble } from '../notices.ts'
import { linkTo } from '../router.ts'

const PAGE_ITEMS = 50

export function Users() {
  const { operate } = texts.value
  const words = useSignal<string | undefined>(undefined)
  const { list, more, reload, change } = useList<User>(
    async (cursor, signal) => {
      const query = { limit: PAGE_ITEMS, cursor, q: words.value }
      return (await call(authRoutes.listUsers, { query, signal })).body
    },
    [words.value],
  )
  const search = (event: SubmitEvent): void => {
    event.preventDefault()
    const typed = entry(new FormData(event.currentTarget as HTMLFormElement), 'q')
    words.value = typed === '' ? undefined : typed
  }
  const replace = (changed: User): void => change((user) => (user.id === changed.id ? changed : user))
  return (
    <>
      <search>
        <form class="form-row" onSubmit={search}>
          <input
            type="search"
            name="q"
            maxLength={254}
            aria-label={operate.searchUsers}
            placeholder={operate.searchUsers}
          />
        </form>
      </search>
      <ListFrame list={list.value} more={more} reload={reload} empty={<Empty title={operate.noUsers} />}>
        <Table heads={[operate.name, operate.email, operate.roles, operate.action]}>
          {list.value.items.map((user) => (
            <UserRow key={user.id} user={user} replace={replace} />
          ))}
        </Table>
      </ListFrame>
    </>
  )
}

function UserRow({ user, replace }: { user: User; replace: (user: User) => void }) {
  const { operate, yes, no } = texts.value
  const isSaving = useSignal(false)
  const act = async (work: () => Promise<User>, done: string): Promise<void> => {
    if (isSaving.value) {
      // What was clicked meanwhile did not happen: the boxes show what is true.
      replace({ ...user })
      return
    }
    isSaving.value = true
    try {
      replace(await work())
      say(done)
    } catch (error) {
      // The same user again, so that the boxes show what is true.
      replace({ ...user })
      sayTrouble(error)
    } finally {
      isSaving.value = false
    }
  }
  const toggle = (role: Role, isWanted: boolean): void => {
    const wanted = roles.filter((known) => (known === role ? isWanted : user.roles.includes(known)))
    const params = { id: user.id }
    void act(
      async () => (await call(authRoutes.setRoles, { params, body: { roles: wanted } })).body,
      operate.rolesSaved(user.name),
    )
  }
  const setDisabled = (disabled: boolean): void => {
    const label = disabled ? operate.disabled : operate.enable
    const params = { id: user.id }
    void act(
      async () => (await call(authRoutes.setDisabled, { params, body: { disabled } })).body,
      `${user.name}: ${label}`,
    )
  }
  const resetFactors = (): void => {
    const params = { id: user.id }
    void act(async () => {
      await call(authRoutes.resetFactors, { params })
      return user
    }, operate.factorsReset(user.name))
  }
  const head = (
    <>
      {user.name} {user.disabled && <span class="badge rejected">{operate.disabled}</span>}
    </>
  )
  return (
    <Row head={head}>
      <Cell>
        {user.email}
        <p class="hint">
          {operate.verified}: {user.verified ? yes : no} ·{' '}
          <a href={linkTo('manageOrders', {}, { customer: user.id })}>{operate.userOrders}</a>
        </p>
      </Cell>
      <Cell>
        <fieldset class="roles" aria-busy={isSaving.value}>
          <legend class="visually-hidden">{operate.rolesOf(user.name)}</legend>
          {roles.map((role) => (
            <label class="check" key={role}>
              <input
                type="checkbox"
                checked={user.roles.includes(role)}
                onChange={(event) => toggle(role, event.currentTarget.checked)}
              />
              {operate.roleNames[role]}
            </label>
          ))}
        </fieldset>
      </Cell>
      <Cell>
        <div class="form-actions">
          <button
            type="button"
            class="button quiet small"
            aria-disabled={isSaving.value}
            onClick={() => setDisabled(!user.disabled)}
          >
            {user.disabled ? operate.enable : operate.disable}
            <span class="visually-hidden"> {user.name}</span>
          </button>
          <AskingButton
            label={operate.resetFactors}
            to={user.name}
            question={operate.askResetFactors(user.name)}
            confirm={operate.resetFactors}
            kind="button quiet small"
            act={resetFactors}
          />
        </div>
      </Cell>
    </Row>
  )
}
