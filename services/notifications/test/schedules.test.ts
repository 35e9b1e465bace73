import { v7 as uuidv7 } from 'uuid'
import { describe, expect, test } from 'vitest'
import type { CatchUp } from '@saas/contracts'
import { Database } from '@saas/state'
import { cloneDatabase, FakeClock, testLog, type TestDatabase } from '@saas/testing'
import { insertScheduleRow, type NewScheduleRow } from '../src/schedule-rows.ts'
import { PLANNED_USERS_MAX, Scheduler } from '../src/scheduler.ts'
import { Schedules } from '../src/schedules.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const start = new Date('2026-03-20T00:00:00.000Z')
const announcement = { en: { title: 'Tea time', text: 'Now.' }, de: { title: 'Teezeit', text: 'Jetzt.' } }

interface Replica {
  readonly scheduler: Scheduler
  readonly clock: FakeClock
  readonly database: Database
}

/** Schedulers on one database, each with its own connections and clock. */
class Replicas implements AsyncDisposable {
  readonly database: TestDatabase
  readonly #stack: AsyncDisposableStack

  private constructor(database: TestDatabase, stack: AsyncDisposableStack) {
    this.database = database
    this.#stack = stack
  }

  static async start(): Promise<Replicas> {
    await using stack = new AsyncDisposableStack()
    const database = stack.use(await cloneDatabase('notifications'))
    return new Replicas(database, stack.move())
  }

  add(now: Date = start): Replica {
    const { logger } = testLog('notifications')
    const options = { url: this.database.url, service: 'notifications' as const, timeoutMs: 5_000, logger }
    const database = this.#stack.use(new Database(options))
    const clock = new FakeClock(now)
    const scheduler = new Scheduler({ database, clock, logger, builtIn: [], onPlanned: () => undefined })
    return { scheduler: this.#stack.use(scheduler), clock, database }
  }

  async addUsers(count: number, zone: string | null = null, roles: readonly string[] = ['customer']): Promise<void> {
    await this.database.query(
      `insert into recipient (user_id, version, email, name, language, zone, roles, verified, disabled, updated_at)
       select uuidv7(), 1, 'u' || n || '@example.com', 'U', 'en', $2, $3, true, false, now() from generate_series(1, $1::int) n`,
      [count, zone, roles],
    )
  }

  async fires(): Promise<string[]> {
    const rows = await this.database.query<{ fire_at: Date; zone: string }>('select * from fire order by fire_at, zone')
    return rows.map(({ fire_at: at, zone }) => `${at.toISOString().slice(0, 16)} ${zone}`)
  }

  async firings(): Promise<{ schedule_id: string; fire_at: Date }[]> {
    return await this.database.query('select schedule_id, fire_at from fire order by fire_at')
  }

  async mails(): Promise<number> {
    return (await this.database.query('select 1 from mail')).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}

function someSchedule(changes: Partial<NewScheduleRow> = {}): NewScheduleRow {
  return {
    id: uuidv7(),
    name: 'Tea time',
    kind: 'announcement',
    origin: 'operator',
    cron: '30 2 * * *',
    at: undefined,
    zone: 'Europe/Berlin',
    catchUp: 'all',
    roles: undefined,
    userIds: undefined,
    content: announcement,
    status: 'active',
    ...changes,
  }
}

async function add(replica: Replica, schedule: NewScheduleRow): Promise<void> {
  await replica.database.transaction(async (tx) => await insertScheduleRow(tx, schedule, replica.clock.now()))
}

/** Clocks that go forward and back: at night, at midnight, by half an hour, in both hemispheres. */
const edges: [zone: string, edge: string, cron: string, from: string][] = [
  ['Europe/Berlin', 'gap', '30 2 * * *', '2026-03-27T12:00Z'],
  ['Europe/Berlin', 'fold', '30 2 * * *', '2026-10-23T12:00Z'],
  ['America/New_York', 'gap', '30 2 * * *', '2026-03-06T12:00Z'],
  ['America/New_York', 'fold', '30 1 * * *', '2026-10-30T12:00Z'],
  ['Australia/Sydney', 'gap', '30 2 * * *', '2026-10-02T00:00Z'],
  ['Australia/Sydney', 'fold', '30 2 * * *', '2026-04-03T00:00Z'],
  ['America/Santiago', 'gap at midnight', '0 0 * * *', '2026-09-04T12:00Z'],
  ['America/Santiago', 'fold at midnight', '30 23 * * *', '2026-04-03T12:00Z'],
  ['Asia/Beirut', 'gap at midnight', '0 0 * * *', '2026-03-27T12:00Z'],
  ['Asia/Beirut', 'fold at midnight', '30 23 * * *', '2026-10-23T12:00Z'],
  ['Australia/Lord_Howe', 'gap of half an hour', '15 2 * * *', '2026-10-02T12:00Z'],
  ['Australia/Lord_Howe', 'fold of half an hour', '45 1 * * *', '2026-04-03T12:00Z'],
]

describe('exactly one firing for every occurrence', () => {
  test('with three replicas whose clocks are a minute apart, over a daylight-saving edge, through kills', async () => {
    await using replicas = await Replicas.start()
    await replicas.addUsers(3)
    const all = [-MINUTE_MS, 0, MINUTE_MS].map((error) => replicas.add(new Date(start.getTime() + error)))
    const [first] = all as [Replica, ...Replica[]]
    await add(first, someSchedule())
    for (let step = 0; step < 14 * 4; step += 1) {
      for (const { clock } of all) clock.advance(6 * HOUR_MS)
      // Some die amid their work, as a killed process's connections do; what they had not committed never was.
      const kill = step % 4 === 0 ? killConnections(replicas.database) : undefined
      await Promise.allSettled([...all.map(async ({ scheduler }) => await scheduler.tick()), kill])
    }
    await settled(all)
    const days = ['20', '21', '22', '23', '24', '25', '26', '27', '28'].map(
      (day) => `2026-03-${day}T01:30 Europe/Berlin`,
    )
    const summer = ['30', '31'].map((day) => `2026-03-${day}T00:30 Europe/Berlin`)
    const april = ['01', '02'].map((day) => `2026-04-${day}T00:30 Europe/Berlin`)
    expect(await replicas.fires()).toEqual([...days, '2026-03-29T01:00 Europe/Berlin', ...summer, ...april])
    expect(await replicas.mails()).toBe(14 * 3)
  })

  test.each(edges)(
    'over the edge of %s (%s), with clocks a minute apart, a kill and an outage',
    async (zone, _, cron, from) => {
      await using replicas = await Replicas.start()
      await replicas.addUsers(2, zone)
      const begin = new Date(from)
      const all = [-MINUTE_MS, 0, MINUTE_MS].map((error) => replicas.add(new Date(begin.getTime() + error)))
      const [first] = all as [Replica, ...Replica[]]
      // One in this zone, and one in the zone of each user: the same times.
      await add(first, someSchedule({ cron, zone }))
      await add(first, someSchedule({ cron, zone: undefined }))
      for (let step = 0; step < 4 * 4; step += 1) {
        for (const { clock } of all) clock.advance(6 * HOUR_MS)
        // Half a day around most of the edges nobody is there to look.
        if (step > 5 && step < 8) continue
        const kill = step % 5 === 2 ? killConnections(replicas.database) : undefined
        await Promise.allSettled([...all.map(async ({ scheduler }) => await scheduler.tick()), kill])
      }
      await settled(all)
      // Told from the wall clock alone, a minute at a time, so that what computes occurrences does not prove itself.
      const expected = occurrencesByWallClock(zone, cron, begin, all[2]?.clock.now() ?? begin)
      expect(expected.length).toBeGreaterThanOrEqual(3)
      for (const fires of Map.groupBy(await replicas.firings(), ({ schedule_id: id }) => id).values()) {
        expect(fires.map(({ fire_at: at }) => at.toISOString().slice(0, 16))).toEqual(expected)
      }
      expect(await replicas.mails()).toBe(expected.length * 2 * 2)
    },
  )

  test('when replicas look at the same moment, again and again', async () => {
    await using replicas = await Replicas.start()
    await replicas.addUsers(5)
    const all = Array.from({ length: 4 }, () => replicas.add())
    const [first] = all as [Replica, ...Replica[]]
    await Promise.all(
      Array.from({ length: 10 }, async (_, index) => await add(first, someSchedule({ cron: `${index} 3 * * *` }))),
    )
    for (let day = 0; day < 5; day += 1) {
      for (const { clock } of all) clock.advance(DAY_MS)
      await Promise.all(all.map(async ({ scheduler }) => await scheduler.tick()))
    }
    await settled(all)
    expect(await replicas.fires()).toHaveLength(10 * 5)
    expect(await replicas.mails()).toBe(10 * 5 * 5)
  })

  test('when the clock goes back and the same time comes again', async () => {
    await using replicas = await Replicas.start()
    await replicas.addUsers(1)
    const replica = replicas.add()
    await add(replica, someSchedule())
    replica.clock.set('2026-03-20T01:30:30.000Z')
    await replica.scheduler.tick()
    replica.clock.set('2026-03-20T01:29:30.000Z')
    await replica.scheduler.tick()
    replica.clock.set('2026-03-20T01:30:30.000Z')
    await replica.scheduler.tick()
    expect(await replicas.fires()).toEqual(['2026-03-20T01:30 Europe/Berlin'])
  })

  test('also where a restored row says that it is due again', async () => {
    await using replicas = await Replicas.start()
    await replicas.addUsers(1)
    const replica = replicas.add()
    await add(replica, someSchedule())
    replica.clock.advance(3 * HOUR_MS)
    await replica.scheduler.tick()
    await replicas.database.query(`update schedule_zone set next_at = '2026-03-20T01:30Z'`)
    await replica.scheduler.tick()
    expect(await replicas.fires()).toHaveLength(1)
    expect(await replicas.mails()).toBe(1)
  })
})

describe('missed firings follow the stated policy, never twice', () => {
  test.each<[CatchUp, string[]]>([
    ['once', ['2026-03-25T01:30 Europe/Berlin']],
    ['skip', []],
    ['all', ['20', '21', '22', '23', '24', '25'].map((day) => `2026-03-${day}T01:30 Europe/Berlin`)],
  ])('%s', async (policy, missed) => {
    await using replicas = await Replicas.start()
    await replicas.addUsers(2)
    const before = replicas.add()
    await add(before, someSchedule({ catchUp: policy }))
    // Everything is down for six days; two replicas come back at once.
    const later = new Date('2026-03-25T12:00:00.000Z')
    const all = [replicas.add(later), replicas.add(later)]
    await Promise.all(all.map(async ({ scheduler }) => await scheduler.tick()))
    await settled(all)
    expect(await replicas.fires()).toEqual(missed)
    for (const { clock } of all) clock.set('2026-03-26T01:30:00.000Z')
    await settled(all)
    expect(await replicas.fires()).toEqual([...missed, '2026-03-26T01:30 Europe/Berlin'])
    expect(await replicas.mails()).toBe(2 * (missed.length + 1))
  })
})

describe('each user’s zone', () => {
  test('everybody gets it at their own time, and who moves gets it once a day', async () => {
    await using replicas = await Replicas.start()
    for (const zone of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', null, 'Not/AZone']) {
      await replicas.addUsers(1, zone)
    }
    const replica = replicas.add()
    await add(replica, someSchedule({ zone: undefined, cron: '0 9 * * *' }))
    replica.clock.set('2026-03-20T08:00:30.000Z')
    await replica.scheduler.tick()
    expect(await replicas.fires()).toEqual(['2026-03-20T08:00 Europe/Berlin'])
    await replicas.database.query(`update recipient set zone = 'America/New_York' where zone = 'Europe/Berlin'`)
    for (let hours = 0; hours < 16; hours += 1) {
      replica.clock.advance(HOUR_MS)
      await replica.scheduler.tick()
    }
    expect(await replicas.fires()).toEqual([
      '2026-03-20T08:00 Europe/Berlin',
      '2026-03-20T09:00 Not/AZone',
      '2026-03-20T09:00 UTC',
      '2026-03-20T13:00 America/New_York',
      '2026-03-20T22:00 Australia/Lord_Howe',
    ])
    expect(await replicas.mails()).toBe(5)
  })
})

describe('planning', () => {
  test('goes on where a killed replica left it, a thousand users at a time', async () => {
    await using replicas = await Replicas.start()
    await replicas.addUsers(2 * PLANNED_USERS_MAX + 1)
    await replicas.addUsers(7, null, ['manager'])
    const victim = replicas.add()
    await add(victim, someSchedule({ roles: ['customer'] }))
    await replicas.database.query(
      `insert into fire (id, schedule_id, zone, fire_at, local_date, facts, status, created_at)
       select uuidv7(), id, zone, '2026-03-20T01:30Z', '2026-03-20', content, 'planning', now() from schedule`,
    )
    await victim.scheduler.planNextPage()
    expect(await replicas.mails()).toBe(PLANNED_USERS_MAX)
    await killConnections(replicas.database)
    const other = replicas.add()
    await other.scheduler.tick()
    expect(await replicas.mails()).toBe(2 * PLANNED_USERS_MAX + 1)
    const [fire] = await replicas.database.query('select status, mails from fire')
    expect(fire).toEqual({ status: 'done', mails: 2 * PLANNED_USERS_MAX + 1 })
  })

  test('one schedule that cannot be fired keeps no other from firing', async () => {
    await using replicas = await Replicas.start()
    await replicas.addUsers(1)
    const replica = replicas.add()
    const broken = someSchedule()
    await add(replica, broken)
    await add(replica, someSchedule({ cron: '31 2 * * *' }))
    await replicas.database.query(`update schedule set cron = 'nonsense' where id = $1`, [broken.id])
    replica.clock.advance(3 * HOUR_MS)
    await replica.scheduler.tick()
    expect(await replicas.fires()).toEqual(['2026-03-20T01:31 Europe/Berlin'])
  })
})

describe('cancelling', () => {
  test('either stops one that fires once or comes too late, never both', async () => {
    await using replicas = await Replicas.start()
    await replicas.addUsers(1)
    const [first, second] = [replicas.add(), replicas.add()]
    const schedules = new Schedules(first.database)
    for (let round = 0; round < 20; round += 1) {
      const at = new Date(first.clock.now().getTime() + HOUR_MS).toISOString().slice(0, 16)
      const { id } = await schedules
        .put(uuidv7(), { name: 'x', at, zone: 'UTC', catchUp: 'once', roles: null, announcement }, first.clock.now())
        .then(({ schedule }) => schedule)
      // The one that fires is up to a minute ahead of the one that cancels.
      second.clock.set(new Date(`${at}:00.000Z`))
      const cancelling = schedules.cancel(id, first.clock.now()).then(
        () => 'cancelled',
        () => 'too late',
      )
      const [outcome] = await Promise.all([cancelling, second.scheduler.tick()])
      const fires = await replicas.database.query('select 1 from fire where schedule_id = $1', [id])
      expect([outcome, fires.length]).toEqual(outcome === 'cancelled' ? ['cancelled', 0] : ['too late', 1])
      first.clock.advance(2 * HOUR_MS)
    }
  })
})

/** Until nothing is due: what a killed connection held is found by the next tick. */
async function settled(all: readonly Replica[]): Promise<void> {
  for (const { scheduler } of all) await scheduler.tick().catch(async () => await scheduler.tick())
}

async function killConnections(database: TestDatabase): Promise<void> {
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  )
}

/** The first minute of each local date at which a wall clock shows the time or one after it. */
function occurrencesByWallClock(zone: string, cron: string, from: Date, until: Date): string[] {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' })
  const [minute = '', hour = ''] = cron.split(' ')
  const time = `${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`
  const found: string[] = []
  const seen = new Set<string>()
  // From the day before, so that a date whose time has passed already is not taken to begin now.
  for (let ms = from.getTime() - DAY_MS; ms <= until.getTime(); ms += MINUTE_MS) {
    const [date = '', clock = ''] = format.format(ms).split(' ')
    if (clock < time || seen.has(date)) continue
    seen.add(date)
    if (ms > from.getTime()) found.push(new Date(ms).toISOString().slice(0, 16))
  }
  return found
}
