// Which model is asked, and which one beside it.
import { serverInfo } from '../api/server.ts';
import type { ServedModel } from '../api/types.ts';
import { t } from '../i18n/i18n.ts';
import { Icon } from '../ui/Icon.tsx';
import { alone, model, other, pickedModel, pickedOther } from './tryState.ts';

export function ModelPicker() {
  const served = serverInfo.value?.models ?? [];
  const first = model.value;
  const second = other.value;
  const swap = () => {
    if (!first || !second) return;
    pickedModel.value = second.id;
    pickedOther.value = first.id;
  };
  return (
    <div class="picker">
      <label class="select">
        <span>{t('try.model')}</span>
        <select
          value={first?.id ?? ''}
          disabled={served.length === 0}
          onChange={(event) => {
            // The one beside it may not be the same: it takes the place of the other then.
            if (event.currentTarget.value === second?.id) swap();
            else pickedModel.value = event.currentTarget.value;
          }}
        >
          {served.map((m) => (
            <Choice key={m.id} model={m} />
          ))}
        </select>
      </label>
      {served.length > 1 && (
        <>
          <button
            type="button"
            class="button quiet swap"
            aria-label={t('try.swap')}
            title={t('try.swap')}
            disabled={!second}
            onClick={swap}
          >
            <Icon name="swap" />
          </button>
          <label class="select">
            <span>{t('try.compare')}</span>
            <select
              value={second?.id ?? alone}
              onChange={(event) => {
                pickedOther.value = event.currentTarget.value;
              }}
            >
              <option value={alone}>{t('try.compare.none')}</option>
              {served
                .filter((m) => m !== first)
                .map((m) => (
                  <Choice key={m.id} model={m} />
                ))}
            </select>
          </label>
        </>
      )}
    </div>
  );
}

function Choice({ model }: { model: ServedModel }) {
  return (
    <option value={model.id}>
      {model.id} · {t(`try.kind.${model.kind}`)}
    </option>
  );
}
