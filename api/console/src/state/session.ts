import { inject, provide, ref, type InjectionKey, type Ref } from 'vue'
import { ApiError, createClient, type Client, type Me } from '../api'

export interface Session {
  api: Client
  me: Readonly<Ref<Me | null>>
  /** The session has been asked for, or could not be. */
  known: Readonly<Ref<boolean>>
  /** Why it could not be asked for; empty when it could. */
  trouble: Readonly<Ref<string>>
  /** The server says that its data is a demonstration, before anybody logs in. */
  demo: Ref<boolean>
  restore: () => Promise<void>
  login: (username: string, password: string) => Promise<void>
  logout: () => Promise<void>
}

const key: InjectionKey<Session> = Symbol('session')

/** provideSession makes the session of the page; useSession finds it below. */
export function provideSession(): Session {
  const me = ref<Me | null>(null)
  const known = ref(false)
  const trouble = ref('')
  const demo = ref(false)
  const api = createClient({ onUnauthenticated: () => (me.value = null) })

  async function restore(): Promise<void> {
    try {
      me.value = await api.me()
      trouble.value = ''
    } catch (cause) {
      me.value = null
      trouble.value = cause instanceof ApiError && cause.status === 401 ? '' : String((cause as Error).message)
    }
    known.value = true
    // Whoever has a session gets back in when the server does.
    if (trouble.value !== '') window.setTimeout(() => me.value === null && void restore(), 5000)
    try {
      demo.value = (await api.status()).demo
    } catch {
      // The status is asked for again, and shown, after the login.
    }
  }

  async function login(username: string, password: string): Promise<void> {
    me.value = (await api.login(username, password)).user
    trouble.value = ''
  }

  async function logout(): Promise<void> {
    try {
      await api.logout()
    } finally {
      me.value = null
    }
  }

  const session: Session = { api, me, known, trouble, demo, restore, login, logout }
  provide(key, session)
  return session
}

export function useSession(): Session {
  const session = inject(key)
  if (!session) throw new Error('no session is provided')
  return session
}
