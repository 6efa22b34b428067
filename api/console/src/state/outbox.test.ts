import { effectScope } from 'vue'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { ApiError, type AnswerRequest } from '../api'
import { useOutbox } from './outbox'

const memory = new Map<string, string>()
beforeEach(() => {
  memory.clear()
  vi.stubGlobal('localStorage', {
    getItem: (k: string) => memory.get(k) ?? null,
    setItem: (k: string, v: string) => memory.set(k, v),
  })
  vi.stubGlobal('window', { addEventListener: () => {}, removeEventListener: () => {}, setInterval: () => 0, clearInterval: () => {} })
})
afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

function server() {
  const got: [string, AnswerRequest][] = []
  let fail: ApiError | null = null
  return {
    got,
    fails: (e: ApiError | null) => (fail = e),
    answer: async (order: string, request: AnswerRequest) => {
      if (fail) throw fail
      got.push([order, request])
    },
  }
}

it('keeps an answer through a lost network and a reload, then sends all in order', async () => {
  const s = server()
  let pressed = ''
  s.fails(new ApiError(0, 'network', 'away'))
  const first = effectScope()
  await first.run(async () => {
    const box = useOutbox(s, 'team1', () => {})
    box.put('or-1', 'read')
    box.put('or-1', 'accepted', '', '张三')
    box.put('or-1', 'read')
    await box.flush()
    expect(box.unsent.value.map((u) => u.answer)).toEqual(['read', 'accepted'])
    expect(box.worrying.value).toHaveLength(1)
    pressed = box.worrying.value[0]!.said
  })
  first.stop()
  vi.setSystemTime(Date.now() + 3_600_000)

  s.fails(null)
  await effectScope().run(async () => {
    const box = useOutbox(s, 'team1', () => {})
    await box.flush()
    expect(s.got.map(([, r]) => r.answer)).toEqual(['read', 'accepted'])
    expect(s.got[1]?.[1]).toMatchObject({ by: '张三', said: pressed })
    expect(box.unsent.value).toEqual([])
  })
})

it('shows an answer that the server refuses, and goes on with the next', async () => {
  const s = server()
  s.fails(new ApiError(409, 'conflict', '命令已撤销'))
  await effectScope().run(async () => {
    const box = useOutbox(s, 'team1', () => {})
    box.put('or-1', 'accepted')
    await box.flush()
    expect(box.worrying.value[0]).toMatchObject({ refused: true, error: '命令已撤销' })
    s.fails(null)
    box.put('or-2', 'standby')
    await box.flush()
    expect(s.got.map(([o]) => o)).toEqual(['or-2'])
    box.drop(box.worrying.value[0]!.id)
    expect(box.unsent.value).toEqual([])
  })
})
