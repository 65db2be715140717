// Keeps the end of a growing conversation in sight while the person is there, and never pulls back one who scrolled up.
import type { ReadonlySignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

/** Nearer than this to the end of the page counts as at the end. */
const nearPx = 120;

export function useStickToEnd(
  end: RefObject<HTMLElement | null>,
  growing: { readonly turns: ReadonlySignal<readonly unknown[]> },
) {
  const turns = growing.turns.value.length;
  useEffect(() => {
    if (turns === 0) return undefined;
    toEnd();
    let stick = true;
    const onScroll = () => {
      stick = document.documentElement.scrollHeight - innerHeight - scrollY < nearPx;
    };
    const watch = new ResizeObserver(() => {
      if (stick) toEnd();
    });
    watch.observe(end.current!.parentElement!);
    addEventListener('scroll', onScroll, { passive: true });
    return () => {
      watch.disconnect();
      removeEventListener('scroll', onScroll);
    };
  }, [turns, end]);
}

const toEnd = () => scrollTo({ top: document.documentElement.scrollHeight });
