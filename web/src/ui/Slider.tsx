// A slider with its value as a number that can be typed, and a line that says what it does.
import { useId } from 'preact/hooks';
import { t } from '../i18n/i18n.ts';

interface Props {
  label: string;
  hint: string;
  value: number;
  min: number;
  max: number;
  step: number;
  /** The number may be typed up to here; default `max`. */
  typedMax?: number;
  disabled?: boolean;
  onChange: (value: number) => void;
}

export function Slider({ label, hint, value, min, max, step, typedMax = max, disabled, onChange }: Props) {
  const id = useId();
  const change = (event: { currentTarget: HTMLInputElement }) => {
    const n = event.currentTarget.valueAsNumber;
    // While a number is being typed it may be empty or out of range; it counts when it is one.
    if (Number.isFinite(n) && n >= min && n <= typedMax) onChange(n);
  };
  return (
    <div class={disabled ? 'slider off' : 'slider'}>
      <label for={id}>{label}</label>
      <input
        class="number"
        type="number"
        inputMode="decimal"
        aria-label={t('settings.number', { name: label })}
        {...{ min, max: typedMax, step, value, disabled }}
        onInput={change}
        onBlur={(event) => {
          event.currentTarget.value = String(value);
        }}
      />
      <input
        id={id}
        type="range"
        aria-describedby={`${id}-hint`}
        {...{ min, max, step, disabled }}
        value={Math.min(value, max)}
        onInput={change}
      />
      <p class="hint" id={`${id}-hint`}>
        {disabled ? t('knob.noEffect') : hint}
      </p>
    </div>
  );
}
