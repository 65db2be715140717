// All decoding settings, with what they come to on top.
import { t } from '../../i18n/i18n.ts';
import { Segmented } from '../../ui/Segmented.tsx';
import { type Preset, presetOf, presets, withPreset } from '../sampling.ts';
import { sampling } from '../tryState.ts';
import { KnobSlider } from './KnobSlider.tsx';
import { ModeBox } from './ModeBox.tsx';
import { SeedField } from './SeedField.tsx';
import { StopField } from './StopField.tsx';

export function Settings() {
  return (
    <div class="settings">
      <Segmented
        label={t('settings.presets')}
        value={presetOf(sampling.value)}
        choices={(Object.keys(presets) as Preset[]).map((value) => ({ value, label: t(`settings.preset.${value}`) }))}
        onChange={(preset) => {
          sampling.value = withPreset(sampling.value, preset);
        }}
      />
      <ModeBox />
      <section aria-labelledby="settings-choice">
        <h3 id="settings-choice">{t('settings.choice')}</h3>
        <KnobSlider knob="temperature" />
        <KnobSlider knob="topP" />
        <KnobSlider knob="topK" />
        <KnobSlider knob="minP" />
      </section>
      <section aria-labelledby="settings-penalties">
        <h3 id="settings-penalties">{t('settings.penalties')}</h3>
        <KnobSlider knob="repetitionPenalty" />
        <KnobSlider knob="presencePenalty" />
        <KnobSlider knob="frequencyPenalty" />
      </section>
      <section aria-labelledby="settings-length">
        <h3 id="settings-length">{t('settings.length')}</h3>
        <KnobSlider knob="maxTokens" />
        <SeedField />
        <StopField />
      </section>
      <button
        type="button"
        class="button"
        onClick={() => {
          sampling.value = presets.balanced;
        }}
      >
        {t('settings.reset')}
      </button>
    </div>
  );
}
