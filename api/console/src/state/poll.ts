import { onScopeDispose, ref, type Ref } from 'vue'

export interface Poll {
  /** When the last good answer came, ms; 0: never. */
  at: Readonly<Ref<number>>
  /** Why the last try failed; empty when it did not. */
  error: Readonly<Ref<string>>
  /** Ask now; calls while one is under way become one more afterwards. */
  refresh: () => Promise<void>
}

/**
 * usePoll asks at once and then every so often, never twice at a time. A slow
 * answer stretches the pause up to three times, so that a large fleet does not
 * drown the server; a hidden page asks six times less.
 */
export function usePoll(everyMs: number, ask: () => Promise<void>): Poll {
  const at = ref(0)
  const error = ref('')
  let timer = 0
  let running: Promise<void> | null = null
  let again = false
  let stopped = false

  async function run(): Promise<void> {
    window.clearTimeout(timer)
    const begun = performance.now()
    try {
      await ask()
      at.value = Date.now()
      error.value = ''
    } catch (cause) {
      error.value = cause instanceof Error ? cause.message : String(cause)
    }
    const took = performance.now() - begun
    const pause = Math.max(everyMs, Math.min(took * 5, everyMs * 3)) * (document.hidden ? 6 : 1)
    if (!stopped) timer = window.setTimeout(() => void refresh(), pause)
  }

  function refresh(): Promise<void> {
    if (stopped) return Promise.resolve()
    if (running) {
      again = true
      return running
    }
    running = run().finally(() => {
      running = null
      if (again) {
        again = false
        void refresh()
      }
    })
    return running
  }

  const shown = () => {
    if (!document.hidden) void refresh()
  }
  document.addEventListener('visibilitychange', shown)
  onScopeDispose(() => {
    stopped = true
    window.clearTimeout(timer)
    document.removeEventListener('visibilitychange', shown)
  })
  void refresh()
  return { at, error, refresh }
}
