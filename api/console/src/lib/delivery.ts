import type { Delivery } from '../api'

/** What a cell of the board shows: the state, with what matters more on top. */
export type Cell =
  | 'pending' | 'sent' | 'delivered' | 'read' | 'answered' | 'rejected' | 'failed' | 'overdue' | 'stale'

export const cells: Cell[] = ['pending', 'sent', 'delivered', 'read', 'answered', 'rejected', 'overdue', 'failed', 'stale']

export function cellOf(d: Delivery): Cell {
  switch (d.state) {
    case 'answered':
      return d.answer === 'rejected' ? 'rejected' : 'answered'
    case 'failed':
      return 'failed'
    case 'stale':
      return 'stale'
    default:
      if (d.overdue) return 'overdue'
      return d.state === 'sending' ? 'pending' : d.state
  }
}

/** The name that fits a small cell: the township's, or the county's with its team's kind. */
export function shortName(d: Delivery): string {
  const base = d.area_name || d.team_name
  if (d.team_kind === 'professional') return `${base.replace(/(市|县|区)$/u, '')}专业`
  return base
}
