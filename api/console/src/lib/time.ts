// Times for people: Asia/Shanghai, with their age beside them.

const zone = 'Asia/Shanghai'

const parts = new Intl.DateTimeFormat('zh-CN', {
  timeZone: zone, hourCycle: 'h23',
  year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
})

function split(ms: number): Record<string, string> {
  return Object.fromEntries(parts.formatToParts(ms).map((p) => [p.type, p.value]))
}

/** 14:03:09 */
export function clock(ms: number): string {
  const p = split(ms)
  return `${p.hour}:${p.minute}:${p.second}`
}

/** 14:03 today, 03-14 14:03 on other days. */
export function shortTime(iso: string, now: number): string {
  const ms = Date.parse(iso)
  if (Number.isNaN(ms)) return '—'
  const p = split(ms)
  const today = split(now)
  const hm = `${p.hour}:${p.minute}`
  return p.day === today.day && p.month === today.month && p.year === today.year ? hm : `${p.month}-${p.day} ${hm}`
}

/** 2026-03-14 14:03:09 */
export function fullTime(iso: string): string {
  const ms = Date.parse(iso)
  if (Number.isNaN(ms)) return '—'
  const p = split(ms)
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`
}

/** A span in the largest unit that is not coarse: ['s', 12], ['m', 47], ['h', 3], ['d', 2]. */
export function span(ms: number): [unit: 's' | 'm' | 'h' | 'd', count: number] {
  const s = Math.max(0, Math.floor(Math.abs(ms) / 1000))
  if (s < 60) return ['s', s]
  if (s < 120 * 60) return ['m', Math.floor(s / 60)]
  if (s < 48 * 3600) return ['h', Math.floor(s / 3600)]
  return ['d', Math.floor(s / 86400)]
}

/** m:ss or h:mm:ss, for counting down. */
export function countdown(ms: number): string {
  const s = Math.floor(Math.abs(ms) / 1000)
  const two = (n: number) => String(n).padStart(2, '0')
  const h = Math.floor(s / 3600)
  return h > 0 ? `${h}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`
}
