import { onScopeDispose, ref, type Ref } from 'vue'
import type { EventType, ServerEvent } from '../api'

export type StreamState = 'connecting' | 'open' | 'down'

const types: EventType[] = [
  'alert', 'order', 'delivery', 'warning', 'season', 'roster', 'command',
  'incident', 'silence', 'danger', 'readiness', 'document', 'hotspot',
]

export interface Events {
  state: Readonly<Ref<StreamState>>
  on: (type: EventType, listener: (subject: Record<string, string>) => void) => void
  /** Called whenever the stream opens: what was missed must be fetched. */
  onOpen: (listener: () => void) => void
}

/**
 * useEvents follows the server's events. The browser resumes a broken stream by
 * itself; a refused one it gives up, so that one is opened anew, and listeners
 * fetch the whole state, which is never built from events alone.
 */
export function useEvents(url: string): Events {
  const state = ref<StreamState>('connecting')
  const listeners = new Map<EventType, ((subject: Record<string, string>) => void)[]>()
  const openers: (() => void)[] = []
  let source: EventSource | null = null
  let timer = 0
  let wait = 1000

  function connect(): void {
    source?.close()
    source = new EventSource(url)
    source.onopen = () => {
      state.value = 'open'
      wait = 1000
      for (const l of openers) l()
    }
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) {
        state.value = 'down'
        window.clearTimeout(timer)
        timer = window.setTimeout(connect, wait)
        wait = Math.min(wait * 2, 30_000)
      } else {
        state.value = 'connecting'
      }
    }
    // What came before cannot be given any more.
    source.addEventListener('reset', () => {
      for (const l of openers) l()
    })
    for (const type of types) {
      source.addEventListener(type, (message) => {
        let event: ServerEvent
        try {
          event = JSON.parse((message as MessageEvent<string>).data) as ServerEvent
        } catch {
          return // an event that cannot be read only costs a later refresh
        }
        for (const l of listeners.get(type) ?? []) l(event.subject ?? {})
      })
    }
  }

  const online = () => {
    if (state.value !== 'open') connect()
  }
  window.addEventListener('online', online)
  onScopeDispose(() => {
    window.clearTimeout(timer)
    window.removeEventListener('online', online)
    source?.close()
  })
  connect()

  return {
    state,
    on: (type, listener) => {
      listeners.set(type, [...(listeners.get(type) ?? []), listener])
    },
    onOpen: (listener) => {
      openers.push(listener)
    },
  }
}

/** gather runs f soon after the first of a burst of calls, and once for all of them. */
export function gather(f: () => unknown, ms = 250): () => void {
  let timer = 0
  const run = () => {
    timer = 0
    void f()
  }
  return () => {
    if (timer === 0) timer = window.setTimeout(run, ms)
  }
}
