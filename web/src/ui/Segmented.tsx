// A few choices of which one holds: radio buttons that look like one control.
import { useId } from 'preact/hooks';
import { Icon, type IconName } from './Icon.tsx';

interface Choice<T extends string> {
  value: T;
  label: string;
  icon?: IconName;
}

interface Props<T extends string> {
  label: string;
  value: T | undefined;
  choices: readonly Choice<T>[];
  onChange: (value: T) => void;
}

export function Segmented<T extends string>({ label, value, choices, onChange }: Props<T>) {
  const name = useId();
  return (
    <fieldset class="segmented">
      <legend class="hidden">{label}</legend>
      {choices.map((choice) => (
        <label key={choice.value} title={choice.icon ? choice.label : undefined}>
          <input
            type="radio"
            name={name}
            value={choice.value}
            checked={choice.value === value}
            onChange={() => onChange(choice.value)}
          />
          {choice.icon && <Icon name={choice.icon} />}
          <span class={choice.icon ? 'hidden' : undefined}>{choice.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
