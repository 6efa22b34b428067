import { computed, ref, shallowRef, watch } from 'vue'
import type { Answer, Delivery, Order } from '../api'
import { gather, useEvents } from './events'
import { useOutbox } from './outbox'
import { usePoll } from './poll'
import { useSession } from './session'

/** One order with this team's own delivery. */
export interface OwnOrder { order: Order; delivery: Delivery | undefined }

const keepMs = 24 * 3600_000 // an answered order stays in sight until stood down, or this long

/** useTeam is what the phone page knows, and what it has said but not yet sent. */
export function useTeam() {
  const { api, me } = useSession()
  const account = me.value?.username ?? ''
  const events = useEvents(api.eventsUrl)
  const cacheKey = `firewatch.team.${account}`
  const own = shallowRef<OwnOrder[]>(cached(cacheKey))
  const opened = ref(new Set<string>())
  const arrived = new Set<string>() // what this page has already reported as delivered

  const poll = usePoll(15_000, async () => {
    const list = await api.orders({ limit: 30 })
    const wanted = list.items.filter((o) => o.status === 'open' || Date.now() - Date.parse(o.issued) < keepMs)
    const before = new Map(own.value.map((o) => [o.order.id, o]))
    own.value = await Promise.all(wanted.map(async (listed) => {
      const old = before.get(listed.id)
      if (old?.delivery?.answer === 'stood_down' && old.order.status === listed.status) return old // nothing more will come
      const order = await api.order(listed.id)
      return { order, delivery: order.deliveries?.find((d) => d.team === me.value?.team) }
    }))
    store(cacheKey, own.value)
    for (const { order, delivery } of own.value) {
      if (order.status !== 'open' || !delivery || delivery.delivered || delivery.answered || arrived.has(order.id)) continue
      arrived.add(order.id)
      outbox.put(order.id, 'delivered')
    }
  })
  const soon = gather(poll.refresh, 150)
  const outbox = useOutbox(api, account, soon)
  events.on('order', soon)
  events.on('delivery', soon)
  events.onOpen(() => {
    soon()
    void outbox.flush()
  })

  /** A person opens an order: that is what "read" means. */
  function open(id: string): void {
    opened.value.add(id)
    const delivery = own.value.find((o) => o.order.id === id)?.delivery
    if (delivery && !delivery.read && !delivery.answered) outbox.put(id, 'read')
  }

  function answer(id: string, what: Answer, reason: string, by: string): void {
    outbox.put(id, what, reason, by)
  }

  /** What the person said last, sent or not: the page shows their own word at once. */
  function said(o: OwnOrder): string {
    const waiting = outbox.worrying.value.filter((u) => u.order === o.order.id && !u.refused)
    return waiting.at(-1)?.answer ?? o.delivery?.answer ?? ''
  }

  const isDone = (o: OwnOrder) => said(o) === 'stood_down' || o.order.status === 'cancelled'
  const ranks = ['blue', 'yellow', 'orange', 'red']
  const grave = (a: OwnOrder, b: OwnOrder) =>
    Number(said(a) !== '') - Number(said(b) !== '') || ranks.indexOf(b.order.level) - ranks.indexOf(a.order.level) || b.order.issued.localeCompare(a.order.issued)
  const current = computed(() => own.value.filter((o) => !isDone(o)).sort(grave))
  const past = computed(() => own.value.filter(isDone))

  // A buzz for what is new, where the phone can and a person has touched the page.
  let known: Set<string> | null = null
  watch(current, (list) => {
    const ids = new Set(list.map((o) => o.order.id))
    if (known && [...ids].some((id) => !known!.has(id))) navigator.vibrate?.([300, 150, 300])
    known = ids
  })

  return { events, poll, outbox, current, past, opened, open, answer, said }
}

export type TeamState = ReturnType<typeof useTeam>

function cached(key: string): OwnOrder[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? '[]')
    return Array.isArray(value) ? (value as OwnOrder[]) : []
  } catch {
    return []
  }
}

function store(key: string, value: OwnOrder[]): void {
  try {
    localStorage.setItem(key, JSON.stringify(value))
  } catch {
    // Without storage the page still works while it is open.
  }
}
