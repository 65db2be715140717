// Whether there is room for a column beside the main one. The same width stands in try.css and settings.css.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

const query = matchMedia('(min-width: 960px)');

export function useWide(): boolean {
  const wide = useSignal(query.matches);
  useEffect(() => {
    const change = () => {
      wide.value = query.matches;
    };
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, [wide]);
  return wide.value;
}
