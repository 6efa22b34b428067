import type { Area, Targets, Team } from '../api'

/** below lists the area and every area under it. */
export function below(areas: Area[], code: string): Set<string> {
  const children = new Map<string, string[]>()
  for (const a of areas) {
    const list = children.get(a.parent)
    if (list) list.push(a.code)
    else children.set(a.parent, [a.code])
  }
  const out = new Set<string>()
  const todo = [code]
  for (let c = todo.pop(); c !== undefined; c = todo.pop()) {
    if (out.has(c)) continue
    out.add(c)
    todo.push(...(children.get(c) ?? []))
  }
  return out
}

/**
 * pickTeams says which teams an order would reach, by the rule of the API: those
 * named, and those of the areas and below. Kinds keep only such teams of the
 * areas; kinds without areas mean the whole scope.
 */
export function pickTeams(teams: Team[], areas: Area[], targets: Targets): Team[] {
  const named = new Set(targets.teams)
  const within = new Set<string>()
  for (const code of targets.areas) for (const c of below(areas, code)) within.add(c)
  const whole = targets.areas.length === 0 && targets.kinds.length > 0
  return teams.filter((t) => {
    if (named.has(t.id)) return true
    const kindFits = targets.kinds.length === 0 || targets.kinds.includes(t.kind)
    return kindFits && (whole || within.has(t.area))
  })
}
