import { onScopeDispose, ref } from 'vue'

/** Where the office is: at the watch, at the readiness, or among the devices, perhaps at one of them. */
export interface Place { page: 'watch' | 'readiness' | 'devices'; device: string }

export function placeOf(path: string): Place {
  const [, page, device = ''] = path.split('/')
  if (page === 'readiness') return { page, device: '' }
  if (page !== 'devices') return { page: 'watch', device: '' }
  try {
    return { page, device: decodeURIComponent(device) }
  } catch {
    return { page, device: '' }
  }
}

export function pathTo(p: Place): string {
  if (p.page === 'watch') return '/'
  if (p.page === 'readiness') return '/readiness'
  return p.device === '' ? '/devices' : `/devices/${encodeURIComponent(p.device)}`
}

/** usePlace follows the address, and changes it: a place can be kept as a bookmark. */
export function usePlace() {
  const place = ref(placeOf(location.pathname))
  const follow = () => (place.value = placeOf(location.pathname))
  window.addEventListener('popstate', follow)
  onScopeDispose(() => window.removeEventListener('popstate', follow))
  return {
    place,
    go(to: Place): void {
      if (pathTo(to) !== location.pathname) history.pushState(null, '', pathTo(to))
      place.value = to
    },
  }
}
