import { computed, onScopeDispose, ref, type ComputedRef, type Ref } from 'vue'
import { ApiError, type Answer, type Client } from '../api'

/** One answer of the team that the server has not confirmed yet. */
export interface Unsent {
  id: number
  order: string
  answer: Answer
  reason: string
  by: string
  said: string // when the person said it, RFC 3339
  tries: number
  error: string // of the last try
  refused: boolean // the server will never take it; a person must see that
}

export interface Outbox {
  unsent: Readonly<Ref<Unsent[]>>
  /** Those that a person gave: receipts sent by the page itself do not worry anybody. */
  worrying: ComputedRef<Unsent[]>
  put: (order: string, answer: Answer, reason?: string, by?: string) => void
  flush: () => Promise<void>
  drop: (id: number) => void
}

const receipts: Answer[] = ['delivered', 'read']

/**
 * useOutbox keeps answers in the browser's storage until the server has taken
 * them, in the order in which they were given, through reloads and hours
 * without a network.
 */
export function useOutbox(api: Pick<Client, 'answer'>, account: string, sent: (order: string) => void): Outbox {
  const key = `firewatch.outbox.${account}`
  const unsent = ref<Unsent[]>(load(key))
  let flushing: Promise<void> | null = null
  let again = false

  const save = () => store(key, unsent.value)

  function put(order: string, answer: Answer, reason = '', by = ''): void {
    if (receipts.includes(answer) && unsent.value.some((u) => u.order === order && u.answer === answer)) return
    const id = Math.max(Date.now(), ...unsent.value.map((u) => u.id + 1))
    unsent.value.push({
      id, order, answer, reason, by, said: new Date().toISOString(), tries: 0, error: '', refused: false,
    })
    save()
    void flush()
  }

  function drop(id: number): void {
    unsent.value = unsent.value.filter((u) => u.id !== id)
    save()
  }

  async function run(): Promise<void> {
    for (;;) {
      const next = unsent.value.find((u) => !u.refused)
      if (!next) return
      try {
        await api.answer(next.order, { answer: next.answer, reason: next.reason, by: next.by, said: next.said })
        drop(next.id)
        sent(next.order)
      } catch (cause) {
        const error = cause instanceof ApiError ? cause : new ApiError(0, 'network', String(cause))
        next.tries++
        next.error = error.message
        if (error.temporary || error.status === 401) {
          save()
          return
        }
        if (receipts.includes(next.answer)) drop(next.id)
        else next.refused = true
        save()
      }
    }
  }

  // What is put while a flush ends must not wait for the next one.
  function flush(): Promise<void> {
    if (flushing) {
      again = true
      return flushing
    }
    const flushed = (async () => {
      do {
        again = false
        await run()
      } while (again)
    })()
    flushing = flushed.finally(() => (flushing = null))
    return flushing
  }

  const online = () => void flush()
  window.addEventListener('online', online)
  const timer = window.setInterval(online, 5000)
  onScopeDispose(() => {
    window.removeEventListener('online', online)
    window.clearInterval(timer)
  })
  void flush()

  return { unsent, worrying: computed(() => unsent.value.filter((u) => !receipts.includes(u.answer))), put, flush, drop }
}

function load(key: string): Unsent[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? '[]')
    return Array.isArray(value) ? (value as Unsent[]) : []
  } catch {
    return []
  }
}

function store(key: string, value: Unsent[]): void {
  try {
    localStorage.setItem(key, JSON.stringify(value))
  } catch {
    // Storage is full or forbidden: the answers live as long as the page.
  }
}
