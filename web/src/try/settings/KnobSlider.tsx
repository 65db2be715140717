// The slider of one setting; disabled where it would do nothing.
import { t } from '../../i18n/i18n.ts';
import { Slider } from '../../ui/Slider.tsx';
import { clamp, type Knob, ranges } from '../sampling.ts';
import { currentMode, mostTokens, sampling, servedSampling } from '../tryState.ts';

export function KnobSlider({ knob }: { knob: Knob }) {
  const { min, max, step } = ranges[knob];
  const most = knob === 'maxTokens' ? (mostTokens.value ?? max) : max;
  return (
    <Slider
      label={t(`knob.${knob}`)}
      hint={t(`knob.${knob}.hint`)}
      value={servedSampling.value[knob]}
      {...{ min, step }}
      max={Math.min(max, most)}
      typedMax={most}
      disabled={currentMode.value.inactive.has(knob)}
      onChange={(value) => {
        sampling.value = { ...sampling.value, [knob]: clamp(knob, value) };
      }}
    />
  );
}
